"""From a data set's name to arrays on the device."""

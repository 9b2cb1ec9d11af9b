"""From the field's files to windows of history and targets on the device."""

"""The shallow-water solver: published test cases, conservation, and torch-harmonics' solver under equal settings."""

from __future__ import annotations

import math

import pytest
import torch

from common.app.errors import ConfigError, NumericalError
from weather.simulate.flows import Flows
from weather.simulate.initial_states import (
    galewsky_jet,
    isolated_mountain,
    random_flows,
    rossby_haurwitz_wave,
    solid_rotation,
)
from weather.simulate.shallow_water import ShallowWater, ShallowWaterConfig

DAY_S = 86400


def solver_of(**settings):
    return ShallowWater(ShallowWaterConfig(**{"height": 32, "width": 64, "time_step_s": 300.0} | settings))


def days(solver, spectral, count, surface=None):
    return solver.advance(spectral, round(count * DAY_S / solver.config.time_step_s), surface)


@pytest.mark.filterwarnings("ignore")
def test_equals_torch_harmonics_under_equal_settings():
    """Its tables hold a factor rounded to float32; made under float64 the two solvers agree to rounding."""
    from torch_harmonics.examples.shallow_water_equations import ShallowWaterSolver

    torch.set_default_dtype(torch.float64)
    try:
        theirs = ShallowWaterSolver(32, 64, 300.0, lmax=11, mmax=11, grid="legendre-gauss").double()
    finally:
        torch.set_default_dtype(torch.float32)
    ours = solver_of()
    torch.manual_seed(0)
    start = theirs.random_initial_condition(mach=0.2)
    spectral = ours.spectral(theirs.spec2grid(start).flip(-2)[None])
    wind = theirs.getuv(start[1:]).flip(-2)
    assert torch.allclose(ours.wind(spectral)[0], wind, atol=1e-11)
    found, expected = ours.state(ours.advance(spectral, 48))[0], theirs.spec2grid(theirs.timestep(start, 48)).flip(-2)
    assert ((found - expected).abs().amax((1, 2)) / expected.abs().amax((1, 2))).max() < 1e-11
    jet = theirs.spec2grid(theirs.galewsky_initial_condition()).flip(-2)[1]
    assert (ours.state(galewsky_jet(ours))[0, 1] - jet).abs().max() < 1e-6 * jet.abs().max()


@pytest.mark.parametrize("angle", [0.0, math.pi / 4])
@pytest.mark.parametrize("diffusion_time_s, tolerance", [(0.0, 1e-12), (7200.0, 1e-5)])
def test_case_2_stays_steady(angle, diffusion_time_s, tolerance):
    """Spectral models hold it to rounding for five days; diffusion wears off 7e-6 of the lowest degree."""
    settings = {"axis_angle": angle, "diffusion_time_s": diffusion_time_s, "time_step_s": 600.0}
    solver = solver_of(height=24, width=48, degrees=11, **settings)
    start = solid_rotation(solver)
    first, last = (solver.state(state)[0] for state in (start, days(solver, start, 5)))
    for field in (0, 1):
        assert (last[field] - first[field]).norm() < tolerance * first[field].norm()


def test_mass_is_conserved():
    solver = solver_of()
    start = random_flows(solver, 0, range(2))
    mean = solver.scalar_weighted[0, 0]
    before, after = (torch.einsum("h,bhw->b", mean, solver.state(s)[:, 0]) for s in (start, days(solver, start, 2)))
    assert ((after - before) / before).abs().max() < 1e-10


def test_case_5_conserves_energy():
    solver = solver_of(diffusion_time_s=0.0, time_step_s=600.0)
    start, ground = isolated_mountain(solver)
    assert 1200 < ground.max() / solver.config.gravity_m_s2 < 2100

    def energy(spectral):
        depth, wind = solver.state(spectral)[0, 0], solver.wind(spectral)[0]
        density = depth * (wind.square().sum(0) / 2 + depth / 2 + ground)
        return float(density.mean(1) @ solver.scalar_weighted[0, 0])

    last = days(solver, start, 2, ground)
    assert energy(last) == pytest.approx(energy(start), rel=1e-5)
    assert solver.state(last)[0, 2].abs().max() > 1e-6  # the mountain raised waves


def test_case_6_travels_at_its_speed():
    """Without divergence the wave would turn by 12.2 degrees a day; the free surface slows it a little."""
    solver = solver_of(diffusion_time_s=0.0)
    start = rossby_haurwitz_wave(solver)
    assert start[:, :, 2].abs().max() < 1e-12 * start[:, :, 1].abs().max()
    real, imaginary = (days(solver, start, 1)[4, 5, 1, 0] / start[4, 5, 1, 0, 0]).tolist()
    rate, rotation = 7.848e-6, solver.config.rotation_per_s
    expected = (4 * 7 * rate - 2 * rotation) / 30 * DAY_S
    assert -math.atan2(imaginary, real) / 4 == pytest.approx(expected, rel=0.1)
    assert math.hypot(real, imaginary) == pytest.approx(1, abs=0.05)


def test_the_jet_without_its_bump_is_balanced():
    """Maximum 80 m/s at 45 degrees north, mean depth 10 km; steady where nothing disturbs it."""
    solver = solver_of(height=64, width=128, degrees=42, diffusion_time_s=0.0)
    start = galewsky_jet(solver, bump_m=0.0)
    u = solver.wind(start)[0, 0, :, 0]
    assert float(u.max()) == pytest.approx(80, rel=0.05)
    assert math.degrees(float(solver.latitudes[u.argmax(), 0])) == pytest.approx(45, abs=2)
    mean = float(start[0, 0, 0, 0, 0]) / math.sqrt(4 * math.pi) / solver.config.gravity_m_s2
    assert mean == pytest.approx(10e3, rel=1e-9)
    first, last = (solver.state(state)[0] for state in (start, solver.advance(start, 72)))
    assert (last[1] - first[1]).norm() < 1e-3 * first[1].norm()
    disturbed = solver.state(solver.advance(galewsky_jet(solver), 72))[0]
    assert (disturbed[1] - first[1]).norm() > 1e-3 * first[1].norm()


def test_a_random_flow_is_the_same_at_every_resolution():
    coarse, fine = solver_of(), solver_of(height=48, width=96)
    assert torch.equal(random_flows(coarse, 3, [5]), random_flows(fine, 3, [5])[:11, :11])
    assert not torch.equal(random_flows(coarse, 3, [5]), random_flows(coarse, 3, [6]))


def test_a_stream_of_flows_resumes_anywhere():
    flows = Flows(solver_of(), interval_s=600.0, spin_up_s=300.0, seed=7)
    stream = flows.batches(2)
    next(stream)
    for found, expected in zip(next(flows.batches(2, first=2)), next(stream), strict=True):
        assert torch.equal(found, expected)
    states = flows.trajectories([2, 3], length=3)
    assert states.shape == (2, 3, 3, 32, 64)
    assert torch.equal(states[:, :2].transpose(0, 1), torch.stack(flows.pairs([2, 3])))


def test_single_precision_follows_double():
    settings = ShallowWaterConfig(32, 64, time_step_s=300.0)
    single, double = (Flows(ShallowWater(settings, dtype), 3600.0) for dtype in (torch.float32, torch.float64))
    found, expected = single.pairs([0])[1].double(), double.pairs([0])[1]
    assert ((found - expected).norm(dim=(2, 3)) / expected.norm(dim=(2, 3))).max() < 1e-3


def test_says_what_went_wrong():
    with pytest.raises(ConfigError, match="degrees=40"):
        solver_of(degrees=40)
    with pytest.raises(ConfigError, match="interval_s=400"):
        Flows(solver_of(), interval_s=400.0)
    solver = solver_of(time_step_s=7200.0)
    with pytest.raises(NumericalError, match="shorter time step"):
        solver.advance(random_flows(solver, 0, [0]), 200)

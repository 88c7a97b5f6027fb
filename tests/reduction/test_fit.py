"""Fits: statistics against likelihoods, intervals against MINOS, what is told of bad data, truth out of simulations."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from iminuit import Minuit

from fitted import CHANNELS, RATIO, spectrum
from reduction.errors import ReductionError
from reduction.fitting import judgement
from reduction.fitting.expression import Model, parse_model
from reduction.fitting.fit import fit, parameters_of
from reduction.fitting.likelihood import Likelihood
from reduction.fitting.minimise import OPTIMISERS
from reduction.fitting.parameters import Setting
from reduction.fitting.result import FitResult
from reduction.fitting.slopes import SLOPES
from reduction.fitting.spectrum import FitData
from reduction.fitting.statistics import STATISTICS, Observed, cstat, profiled_background, wstat
from reduction.spectra.groupings import ChannelGrouping

FULL = os.environ.get("UWS_FULL") == "1"
ABSORBED = "wabs*powerlaw"
TRUTH = {"wabs.nH": 0.5, "powerlaw.PhoIndex": 1.8}


def drawn(
    total: float, truth: Mapping[str, float] = TRUTH, expression: str = ABSORBED, background: float = 0.0, seed: int = 1
) -> FitData:
    """A spectrum with about so many counts of a model and of a flat background, in groups of the resolution."""
    empty = spectrum(None, np.zeros(CHANNELS) if background else None)
    data = empty.select(0.4, 9.0, ChannelGrouping("optimal", 1, 1.0))
    source = shape(data, parse_model(expression), truth, total)
    return with_counts(data, source, background, np.random.default_rng(seed))


def shape(data: FitData, model: Model, truth: Mapping[str, float], total: float) -> np.ndarray:
    """Counts of a model in groups, scaled to a sum."""
    counts = data.fold(model.flux_in_bins(data.fold.edges_kev, [truth.get(name, 1.0) for name in model.names]))
    return np.asarray(counts * total / counts.sum())


def with_counts(data: FitData, source: np.ndarray, background: float, random: np.random.Generator) -> FitData:
    width = data.high_kev - data.low_kev
    behind = background / RATIO * width / width.sum()
    ratio = np.full(data.size, RATIO if background else 0.0)
    counts = random.poisson(source + ratio * behind).astype(float)
    return replace(data, observed=Observed(counts, random.poisson(behind).astype(float), ratio))


def norm_of(data: FitData, total: float) -> float:
    """The norm with which the power law gives a sum of counts."""
    one = data.fold(parse_model(ABSORBED).flux_in_bins(data.fold.edges_kev, [*TRUTH.values(), 1.0]))
    return float(total / one.sum())


# what the statistics are


def log_poisson(counts: float, expected: float) -> float:
    return -expected + (counts * math.log(expected) if counts else 0.0) - math.lgamma(counts + 1)


@pytest.mark.parametrize("counts, expected", [(0, 0.3), (1, 2.0), (20, 17.5), (5000, 5100.0)])
def test_c_is_twice_the_log_likelihood_ratio_of_poisson_counts(counts: int, expected: float) -> None:
    best = log_poisson(counts, counts) if counts else 0.0
    found = cstat(Observed(*(np.array([float(each)]) for each in (counts, 0, 0))), np.array([expected]))
    assert found[0] == pytest.approx(2 * (best - log_poisson(counts, expected)), rel=1e-9)


@pytest.mark.parametrize("counts, background", [(0, 0), (3, 0), (0, 4), (5, 9), (300, 40)])
@pytest.mark.parametrize("model", [0.0, 0.2, 3.0, 250.0])
@pytest.mark.parametrize("ratio", [0.05, 1.0, 3.0])
def test_w_is_the_likelihood_of_both_counts_at_the_best_background(
    counts: int, background: int, model: float, ratio: float
) -> None:
    """The best background is sought on a fine grid of values."""
    observed = Observed(*(np.array([float(each)]) for each in (counts, background, ratio)))
    grid = np.concatenate(([1e-12], np.geomspace(1e-6, 50 * (counts + background + 1) / min(ratio, 1), 40_000)))
    best = (log_poisson(counts, counts) if counts else 0.0) + (
        log_poisson(background, background) if background else 0.0
    )
    total = model + ratio * grid
    logs = (-total + counts * np.log(np.maximum(total, 1e-30)) - math.lgamma(counts + 1)
            - grid + background * np.log(grid) - math.lgamma(background + 1))  # fmt: skip
    assert wstat(observed, np.array([model]))[0] == pytest.approx(2 * (best - logs.max()), abs=2e-4 + 1e-6 * abs(best))
    found = profiled_background(observed, np.array([model]))[0]
    assert found == pytest.approx(grid[logs.argmax()], rel=2e-3, abs=2e-6)


@pytest.mark.parametrize("name", STATISTICS)
def test_slopes_are_the_derivatives_of_the_statistics(name: str) -> None:
    random = np.random.default_rng(5)
    observed = Observed(random.poisson(5, 60).astype(float), random.poisson(8, 60).astype(float), np.full(60, 0.4))
    model, step = random.uniform(0.5, 12, 60), 1e-5
    change = STATISTICS[name](observed, model + step) - STATISTICS[name](observed, model - step)
    np.testing.assert_allclose(SLOPES[name](observed, model)[0], change / (2 * step), rtol=1e-4, atol=1e-5)


def test_the_expected_statistic_is_that_of_simulated_counts() -> None:
    random = np.random.default_rng(2)
    source, behind, ratio = np.array([0.2, 1.0, 4.0, 8.0]), np.array([0.5, 2.0, 6.0, 3.0]), np.full(4, 0.3)
    counts = random.poisson(source + ratio * behind, (40_000, 4)).astype(float)
    both = Observed(counts, random.poisson(behind, (40_000, 4)).astype(float), np.broadcast_to(ratio, (40_000, 4)))
    values = wstat(both, np.broadcast_to(source, (40_000, 4)))
    mean, variance = judgement._sums("wstat", source, behind, ratio)
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=0.03)
    np.testing.assert_allclose(variance, values.var(axis=0), rtol=0.06)


def test_a_sparse_background_is_expected_from_its_neighbours() -> None:
    """A fifth of a count a group: the counts of a group say nothing about what it was to have."""
    width = np.linspace(0.05, 0.15, 200)
    counts = np.random.default_rng(6).poisson(2.0 * width).astype(float)
    found = judgement.smoothed(counts, width)
    assert np.abs(found / (2.0 * width) - 1).max() < 0.8 and found.sum() == pytest.approx(counts.sum(), rel=0.2)
    assert judgement.smoothed(np.zeros(5), np.ones(5)).tolist() == [0.0] * 5
    np.testing.assert_allclose(judgement.smoothed(np.full(5, 900.0), np.ones(5)), 900.0)


# errors


@pytest.mark.parametrize("statistic, background", [("cstat", 0.0), ("wstat", 100.0), ("chi2", 100.0)])
@pytest.mark.parametrize("confidence", [0.6827, 0.9])
def test_intervals_are_those_of_minos(statistic: str, background: float, confidence: float) -> None:
    data, model = drawn(3000, background=background), parse_model(ABSORBED)
    found = fit([data], model, statistic=statistic, confidence=confidence)
    likelihood = Likelihood.of([data], model, parameters_of(model, [data]), statistic)
    minuit = Minuit(likelihood, [found.values[name] for name in model.names], name=model.names)
    minuit.errordef, minuit.limits, minuit.tol = 1.0, [(0, None), (-3, 10), (0, None)], 0.01
    minuit.migrad()
    minuit.minos(cl=1 if confidence == 0.6827 else confidence)
    assert minuit.valid
    assert found.statistic <= minuit.fval + 1e-3
    for name in model.names:
        ours, theirs = found[name], minuit.merrors[name]
        assert ours.error_low == pytest.approx(-theirs.lower, rel=0.01)
        assert ours.error_high == pytest.approx(theirs.upper, rel=0.01)
    assert found.covariance is not None
    minuit.hesse()
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), list(minuit.errors), rtol=0.03)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_all_optimisers_find_the_same_minimum(optimiser: str) -> None:
    data = drawn(2000, background=80)
    found, other = fit([data], parse_model(ABSORBED), optimiser=optimiser), fit([data], parse_model(ABSORBED))
    assert found.converged and found.statistic == pytest.approx(other.statistic, abs=2e-3)
    for name, value in other.values.items():
        assert abs(found.values[name] - value) < 0.02 * (other[name].error or 0)


def test_a_minimum_is_found_from_far_away_and_with_several_components() -> None:
    truth = {"wabs.nH": 0.8, "powerlaw.PhoIndex": 1.6, "powerlaw.norm": 1.0, "bbody.kT": 0.25, "bbody.norm": 0.15,
             "gaussian.LineE": 6.4, "gaussian.Sigma": 0.05, "gaussian.norm": 0.05}  # fmt: skip
    data = drawn(60_000, truth, "wabs*(powerlaw + bbody + gaussian)")
    settings = {"gaussian.LineE": Setting(min=5.5, max=7.5), "gaussian.Sigma": Setting(value=0.05, frozen=True)}
    found = fit([data], parse_model("wabs*(powerlaw + bbody + gaussian)"), statistic="cstat", parameters=settings)
    assert found.converged and found.statistic < found.dof + 4 * math.sqrt(2 * found.dof)
    for name in ("wabs.nH", "powerlaw.PhoIndex", "bbody.kT", "gaussian.LineE"):
        assert abs(found.values[name] - truth[name]) < 3.5 * (found[name].error or 0), name
    away = settings | {"wabs.nH": Setting(value=9.0), "powerlaw.PhoIndex": Setting(value=5.0)}
    far = fit([data], parse_model("wabs*(powerlaw + bbody + gaussian)"), statistic="cstat", parameters=away)
    assert far.statistic == pytest.approx(found.statistic, abs=0.05)


@pytest.mark.parametrize(
    "expression, truth, energies",
    [
        ("wabs*cutoffpl", {"wabs.nH": 0.4, "cutoffpl.PhoIndex": 1.2, "cutoffpl.HighECut": 50.0}, (2.0, 5.0)),
        ("wabs*bknpower", {"wabs.nH": 0.1, "bknpower.PhoIndx1": 0.7, "bknpower.BreakE": 3.4}, (5.0, 8.0)),
        ("wabs*(bbody + powerlaw)", {"wabs.nH": 0.1, "bbody.kT": 1.0, "powerlaw.PhoIndex": 1.7}, (0.4, 1.0)),
        ("wabs*wabs*powerlaw", {"powerlaw.PhoIndex": 1.7}, (1.0, 8.0)),
    ],
)
def test_a_model_with_more_than_the_data_tell_ends_in_words_not_in_a_fault(
    expression: str, truth: dict[str, float], energies: tuple[float, float]
) -> None:
    """Long flat valleys, and parameters whose errors are wider than all that is allowed."""
    model = parse_model(expression)
    empty = spectrum().select(*energies, ChannelGrouping("none", 1, 1.0))
    values = {parameter.name: parameter.value for parameter in model.parameters} | truth
    data = with_counts(empty, shape(empty, model, values, 3000), 0.0, np.random.default_rng(3))
    for optimiser in ("migrad", "scoring"):
        found = fit([data], model, statistic="cstat", optimiser=optimiser)
        assert found.statistic < found.dof + 5 * math.sqrt(2 * found.dof)
        assert found.messages and found.converged is not told(found, "The fit did not converge")
        for each in found.parameters:
            assert each.parameter.min <= each.value <= each.parameter.max
            assert all(end is None or (math.isfinite(end) and end >= 0) for end in (each.error_low, each.error_high))


def test_parameters_are_frozen_and_tied_as_asked() -> None:
    data = drawn(3000)
    model = parse_model("wabs*(powerlaw + powerlaw)")
    found = fit([data], model, statistic="cstat", parameters={
        "wabs.nH": Setting(value=0.5, frozen=True), "powerlaw2.PhoIndex": Setting(tied="powerlaw.phoindex"),
        "powerlaw2.norm": Setting(tied="0.5 * powerlaw.norm"),
    })  # fmt: skip
    assert found.converged and found.free == 2 and found.free_names == ("powerlaw.PhoIndex", "powerlaw.norm")
    assert found.values["powerlaw2.norm"] == pytest.approx(0.5 * found.values["powerlaw.norm"])
    assert found["wabs.nH"].value == 0.5 and found["wabs.nH"].error is None
    one = fit([data], parse_model(ABSORBED), statistic="cstat",
              parameters={"wabs.nH": Setting(value=0.5, frozen=True)})  # fmt: skip
    assert found.statistic == pytest.approx(one.statistic, abs=1e-3)
    assert found.values["powerlaw.norm"] * 1.5 == pytest.approx(one.values["powerlaw.norm"], rel=1e-3)


def test_spectra_are_fitted_together_with_a_factor_for_each_further_one() -> None:
    first, second = drawn(4000, seed=1), drawn(4000 * 1.3, seed=2)
    model = parse_model(ABSORBED)
    joint = fit([first, second], model, statistic="cstat")
    assert abs(joint.values["crossnorm2"] - 1.3) < 3 * (joint["crossnorm2"].error or 0) < 0.15
    alone = fit([first], model, statistic="cstat")
    ratio = (joint["powerlaw.PhoIndex"].error or 0) / (alone["powerlaw.PhoIndex"].error or 1)
    assert ratio == pytest.approx(1 / math.sqrt(2.3), rel=0.1)
    assert joint.dof == first.size + second.size - 4
    frozen = fit([first, second], model, statistic="cstat", parameters={"crossnorm2": Setting(value=1.0, frozen=True)})
    assert frozen.statistic > joint.statistic + 10


# what is told


def told(found: FitResult, *words: str) -> bool:
    return any(all(word in message for word in words) for message in found.messages)


def test_a_fit_of_a_right_model_has_nothing_to_tell() -> None:
    assert fit([drawn(5000)], parse_model(ABSORBED), statistic="cstat").messages == ()


def test_a_model_that_does_not_fit_is_told() -> None:
    truth = {"wabs.nH": 0.5, "powerlaw.PhoIndex": 1.8, "powerlaw.norm": 1.0, "gaussian.LineE": 2.0,
             "gaussian.Sigma": 0.1, "gaussian.norm": 0.3}  # fmt: skip
    found = fit([drawn(5000, truth, "wabs*(powerlaw + gaussian)")], parse_model(ABSORBED), statistic="cstat")
    assert (
        found.converged and told(found, "Poor fit", "degrees of freedom") and found.messages[0].startswith("Poor fit")
    )


def test_a_parameter_at_its_limit_is_told_with_the_end_of_its_interval() -> None:
    data = drawn(1000, {"wabs.nH": 0.0, "powerlaw.PhoIndex": 1.8}, seed=4)
    found = fit([data], parse_model(ABSORBED), statistic="cstat")
    column = found["wabs.nH"]
    assert (column.value, column.limit, column.error_low) == (0.0, "min", None)
    assert column.error_high and told(found, "wabs.nH", "lower limit", f"{column.error_high:.4g}")
    likelihood = Likelihood.of([data], parse_model(ABSORBED), parameters_of(parse_model(ABSORBED), [data]), "cstat")
    held = fit([data], parse_model(ABSORBED), statistic="cstat",
               parameters={"wabs.nH": Setting(value=column.error_high, frozen=True)})  # fmt: skip
    assert held.statistic - found.statistic == pytest.approx(1.0, abs=0.02)
    assert likelihood([found.values[name] for name in found.model.names]) == pytest.approx(found.statistic)
    narrow = fit([data], parse_model(ABSORBED), statistic="cstat", parameters={"powerlaw.PhoIndex": Setting(max=1.2)})
    assert narrow["powerlaw.PhoIndex"].limit == "max" and told(narrow, "PhoIndex", "upper limit, 1.2")


def test_an_interval_that_ends_beyond_a_limit_has_no_end() -> None:
    data = drawn(40)
    found = fit([data], parse_model(ABSORBED), statistic="cstat",
                parameters={"powerlaw.PhoIndex": Setting(value=1.9, min=1.5, max=2.3)})  # fmt: skip
    ends = [found["powerlaw.PhoIndex"].error_low, found["powerlaw.PhoIndex"].error_high]
    assert found.converged and None in ends
    assert told(found, "powerlaw.PhoIndex", "beyond its limit")


def test_parameters_that_the_data_do_not_determine_are_told() -> None:
    data = drawn(3000)
    twice = fit([data], parse_model("wabs*(powerlaw + powerlaw)"), statistic="cstat",
                parameters={"powerlaw2.PhoIndex": Setting(tied="powerlaw.PhoIndex")})  # fmt: skip
    assert twice["powerlaw.norm"].degenerate and twice["powerlaw2.norm"].degenerate and not twice["wabs.nH"].degenerate
    assert twice["powerlaw.norm"].error is None and told(twice, "do not determine powerlaw.norm, powerlaw2.norm")
    outside = fit([data], parse_model("wabs*powerlaw + gaussian"), statistic="cstat", parameters={
        "gaussian.LineE": Setting(value=40.0, frozen=True), "gaussian.Sigma": Setting(frozen=True)})  # fmt: skip
    assert outside["gaussian.norm"].degenerate and told(outside, "gaussian.norm: freeze it")


def test_net_counts_below_0_and_a_background_without_counts_are_told() -> None:
    data = drawn(0.0001, background=60, seed=8)
    low = replace(data, observed=replace(data.observed, counts=np.floor(data.observed.counts / 3)))
    found = fit([low], parse_model("powerlaw"), parameters={"powerlaw.PhoIndex": Setting(value=2.0, frozen=True)})
    assert told(found, "net counts", "upper limit") and found["powerlaw.norm"].limit == "min"
    assert found["powerlaw.norm"].error_high
    none = replace(drawn(500, background=50), observed=replace(drawn(500, background=50).observed,
                                                                background=np.zeros(data.size)))  # fmt: skip
    found = fit([none], parse_model(ABSORBED))
    assert found.converged and told(found, f"{data.size} of {data.size} groups", "no background counts")


def test_all_counts_in_one_group_give_no_spectrum_but_words() -> None:
    data = drawn(100)
    counts = np.zeros(data.size)
    counts[10] = 80.0
    found = fit(
        [replace(data, observed=replace(data.observed, counts=counts))], parse_model(ABSORBED), statistic="cstat"
    )
    assert found.messages and (not found.converged or told(found, "Poor fit") or told(found, "limit"))


def test_what_cannot_be_fitted_is_refused() -> None:
    data, model = drawn(500), parse_model(ABSORBED)
    wide = data.spectrum.select(0.4, 9.0, ChannelGrouping("mincounts", 10**9, 1.0))
    for given, words, parameter in (
        ([], "no spectrum", "spectrum"),
        ([replace(wide, observed=Observed(np.ones(1), np.zeros(1), np.zeros(1)))], "degrees of freedom", "spectrum"),
        ([replace(data, observed=replace(data.observed, counts=np.zeros(data.size)))], "no counts", "spectrum"),
    ):
        with pytest.raises(ReductionError, match=words) as caught:
            fit(given, model)
        assert caught.value.parameter == parameter
    for keyword, value in (("statistic", "cash2"), ("optimiser", "best"), ("confidence", 90.0)):
        with pytest.raises(ReductionError) as caught:
            fit([data], model, **{keyword: value})  # type: ignore[arg-type]
        assert caught.value.parameter == keyword
    with pytest.raises(ReductionError, match="outside of its limits") as caught:
        fit([data], model, parameters={"wabs.nH": Setting(value=-1.0)})


@pytest.mark.parametrize("optimiser", ["migrad", "scoring", "simplex"])
def test_a_fit_of_nothing_free_is_refused(optimiser: str) -> None:
    model = parse_model("powerlaw")
    frozen = {each.name: Setting(frozen=True) for each in model.parameters}
    with pytest.raises(ReductionError, match="all parameters of powerlaw are frozen or tied") as caught:
        fit([drawn(500)], model, parameters=frozen, optimiser=optimiser)
    assert caught.value.parameter == "parameters"


def test_a_fit_that_does_not_converge_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one step allowed the search ends on its way: nothing of it is called a result."""
    from reduction.fitting import minimise, scoring

    monkeypatch.setattr(scoring, "MOST_STEPS", 2)
    monkeypatch.setattr(minimise, "MOST_CALLS", 1)
    data = drawn(20_000)
    found = fit([data], parse_model("wabs*(powerlaw + bbody)"), statistic="cstat",
                parameters={"wabs.nH": Setting(value=20.0), "powerlaw.PhoIndex": Setting(value=-2.0),
                            "bbody.kT": Setting(value=5.0)})  # fmt: skip
    assert not found.converged and found.messages[0].startswith("The fit did not converge")
    assert all(each.error_low is None and each.error_high is None for each in found.parameters)
    assert found.covariance is None


# what comes out is what went in


@pytest.mark.parametrize(
    "counts, background, is_column_free", [(20, 0.0, False), (200, 60.0, True), (20_000, 2000.0, True)]
)
def test_simulated_spectra_give_their_truth_back(
    counts: int, background: float, is_column_free: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pulls have mean 0 and width 1, intervals hold the truth as often as they say; to what so many spectra tell."""
    runs = 2000 if FULL else 60
    data, model, random = drawn(counts, background=background), parse_model(ABSORBED), np.random.default_rng(counts)
    truth = TRUTH | {"powerlaw.norm": norm_of(data, counts)}
    source = shape(data, model, TRUTH, counts)
    settings = {} if is_column_free else {"wabs.nH": Setting(value=TRUTH["wabs.nH"], frozen=True)}
    pulls: dict[str, list[float]] = {name: [] for name in (model.names if is_column_free else model.names[1:])}
    for _ in range(runs):
        found = fit([with_counts(data, source, background, random)], model,
                    statistic="wstat" if background else "cstat", parameters=settings)  # fmt: skip
        assert found.converged
        for name, values in pulls.items():
            away = found.values[name] - truth[name]
            error = found[name].error_low if away > 0 else found[name].error_high
            values.append(away / error if error else 0.0)
    few = math.sqrt(1 / runs)
    with capsys.disabled():
        for name, values in pulls.items():
            held = np.mean(np.abs(values) < 1)
            print(f"\n{counts} counts, {runs} spectra, {name}: pulls {np.mean(values):+.3f} +- {few:.3f}, width "
                  f"{np.std(values):.3f}, coverage {held:.3f}", end="")  # fmt: skip
            assert abs(np.mean(values)) < 0.1 + (2.5 * few if not FULL else 0)
            assert abs(np.std(values) - 1) < 0.1 + (2.5 * few * 0.8 if not FULL else 0)
            assert abs(held - 0.6827) < 0.04 + (2.5 * few * 0.47 if not FULL else 0)

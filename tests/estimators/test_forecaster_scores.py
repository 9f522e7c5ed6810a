"""What a forecaster scores, and what errors about its tables advise."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

import sklstm
from sklstm import TikhonovLSTMRegressor, make_forecaster
from sklstm.metrics import make_certified_scorer, make_noisy_scorer

from .test_forecaster import HORIZON, LSTM, WINDOW, panel_of, table_of

EPS = {"load": 0.1, "temp": 1.0, "price": 0.0}
FOLDS = TimeSeriesSplit(2)


@pytest.mark.parametrize("estimator", [LSTM, Ridge()])
def test_the_score_is_the_one_that_is_named(estimator):
    table = table_of()
    forecaster = make_forecaster(estimator, WINDOW, HORIZON, targets=["load", "temp"]).fit(table[:80])
    X, y = forecaster.windows(table[80:])
    predicted = forecaster.model_.predict(X)
    assert forecaster.score(table[80:]) == forecaster.set_params(scoring="r2").score(table[80:])
    forecaster.set_params(scoring="neg_mean_absolute_error")
    assert forecaster.score(table[80:]) == pytest.approx(-mean_absolute_error(y, predicted), rel=1e-12)


def test_a_search_compares_the_score_that_is_named():
    """The best by R² and by the certified score differ, and are those of a loop by hand."""
    table = table_of(240)
    for scoring in (
        "neg_mean_absolute_error",
        make_certified_scorer("neg_mean_absolute_error", EPS),
        make_noisy_scorer("r2", EPS, n_draws=2),
    ):
        forecaster = make_forecaster(LSTM, WINDOW, HORIZON, targets="load", scoring=scoring)
        grid = {"estimator__hidden_size": [1, 3]}
        search = GridSearchCV(forecaster, grid, cv=FOLDS, refit=False).fit(table)
        found = [search.cv_results_[f"split{fold}_test_score"] for fold in range(2)]
        assert np.isfinite(found).all()
        for fold, (train, test) in enumerate(FOLDS.split(table)):
            for place, size in enumerate(grid["estimator__hidden_size"]):
                one = sklstm.Forecaster(LSTM.set_params(hidden_size=size), WINDOW, HORIZON, targets="load")
                one.fit(table.iloc[train])
                X, y = one.windows(table.iloc[test])
                by_hand = (
                    -mean_absolute_error(y, one.model_.predict(X))
                    if isinstance(scoring, str)
                    else scoring(one.model_, X, y)
                )
                assert found[fold][place] == pytest.approx(by_hand, rel=1e-9)
    LSTM.set_params(hidden_size=3)


def test_scores_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="mean_absolute_error"):
        make_forecaster(Ridge(), WINDOW, HORIZON, scoring="mean_absolute_error")
    with pytest.raises(TypeError, match="scoring must be"):
        make_forecaster(Ridge(), WINDOW, HORIZON, scoring=3)
    several = make_forecaster(Ridge(), WINDOW, HORIZON, scoring=lambda model, X, y: {"a": 1.0}).fit(table_of())
    with pytest.raises(TypeError, match="must return one number"):
        several.score(table_of())


def test_a_file_keeps_the_name_of_a_score(tmp_path):
    path = tmp_path / "forecaster.safetensors"
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON, scoring="neg_mean_squared_error").fit(table_of())
    forecaster.save(path)
    loaded = sklstm.load(path)
    assert loaded.scoring == "neg_mean_squared_error"
    assert loaded.score(table_of()) == forecaster.score(table_of())
    with pytest.raises(TypeError, match=r"scoring is .*set_params\(scoring=None\) before"):
        forecaster.set_params(scoring=make_noisy_scorer("r2", 0.1)).save(path)
    assert sklstm.load(path).scoring == "neg_mean_squared_error"


def test_the_beginning_of_a_table_cannot_be_filled_with_the_past():
    table = table_of()
    table.iloc[:3, 1] = np.nan
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON)
    with pytest.raises(ValueError, match="leave out the first 3 rows of the table"):
        forecaster.fit(table)
    pd.testing.assert_frame_equal(forecaster.fit(table[3:]).predict(), forecaster.fit(table.bfill()[3:]).predict())
    panel = panel_of()
    panel.iloc[[90, 91], 0] = np.nan  # the first of the second id
    with pytest.raises(ValueError, match="leave out the first 2 rows of series"):
        forecaster.fit(panel)
    forecaster.fit(panel.drop(index=panel.index[[90, 91]]))


def test_rows_of_the_future_do_not_belong_to_the_table_of_fit():
    table = table_of()
    both = table.copy()
    both.iloc[-HORIZON:, [0, 1]] = np.nan
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, targets="load", known="price")
    with pytest.raises(ValueError, match=r"leave them out: fit\(table\[:116\]\).* predict\(future=") as caught:
        forecaster.fit(both)
    end = int(re.search(r"table\[:(\d+)\]", str(caught.value))[1])
    forecast = forecaster.fit(both[:end]).predict(future=both[end:][["price"]])
    assert forecast.index.equals(table.index[-HORIZON:])
    inside = table.copy()
    inside.iloc[50, 0] = np.nan
    with pytest.raises(ValueError, match=r"with the past only, for instance table\.ffill\(\)"):
        forecaster.fit(inside)


@pytest.mark.parametrize("form", ["table", "array", "integers"])
def test_what_is_infinite_is_replaced_by_the_remedy(form):
    table = table_of()
    table.iloc[50, 0] = np.inf
    if form == "integers":
        table = table.set_axis(np.arange(120) * 2)
    given = table.to_numpy() if form == "array" else table
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON)
    with pytest.raises(ValueError, match=r"the first is infinite.*Replace it before") as caught:
        forecaster.fit(given)
    if form != "array":
        call = re.search(r"for instance after (.*), table\.ffill\(\), or leave", str(caught.value))[1]
        forecaster.fit(eval(call, {"numpy": np, "table": given}).ffill())


def test_an_integer_index_with_a_gap_at_its_beginning():
    table = pd.DataFrame({"a": np.arange(100.0)}, index=[0, 5, *range(6, 104)])
    with pytest.raises(ValueError, match="not equally spaced") as caught:
        make_forecaster(Ridge(), WINDOW, HORIZON).fit(table)
    call = re.search(r"(table\.reindex.*) makes", str(caught.value))[1]
    make_forecaster(Ridge(), WINDOW, HORIZON).fit(eval(call, {"table": table}).ffill())


def test_a_forecaster_has_no_argument_called_groups_or_series():
    table = table_of()[::-1]
    with pytest.raises(ValueError, match=r"must increase.*give an index \(id, time\)\.$"):
        make_forecaster(Ridge(), WINDOW, HORIZON).fit(table)
    with pytest.raises(ValueError, match=r"table\[~table\.index\.duplicated\(\)\]"):
        make_forecaster(Ridge(), WINDOW, HORIZON).fit(pd.concat([table[::-1][:50], table[::-1][49:]]))


def test_a_future_with_a_gap_or_of_another_kind_is_told_so():
    table = table_of()
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, targets="load", known="price").fit(table[:-HORIZON])
    future = table[-HORIZON:][["price"]]
    gap = future.assign(price=future["price"].where(np.arange(HORIZON) != 2))
    with pytest.raises(ValueError, match=rf"'price', {re.escape(str(future.index[2]))}\. Every known column needs"):
        forecaster.predict(future=gap)
    for wrong, said in (
        (future.tz_localize(None), "dates without a zone"),
        (future.set_axis(future.index.astype(str)), "neither dates nor integers"),
        (future.tz_localize(None).to_period("h"), "periods"),
        (future.set_axis(range(116, 120)), "integers"),
    ):
        with pytest.raises(TypeError, match=rf"dates with a zone, such as .* of future are {said}, such as"):
            forecaster.predict(future=wrong)
    other_zone = future.tz_convert("UTC")
    pd.testing.assert_series_equal(forecaster.predict(future=other_zone), forecaster.predict(future=future))


def test_texts_with_several_offsets_become_times_by_the_remedy():
    table = table_of()  # over the night in which the clock changes
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON).fit(table)
    texts = table.set_axis(table.index.astype(str))
    assert texts.index[0][-6:] != texts.index[-1][-6:]
    with pytest.raises(TypeError, match=r"pandas\.to_datetime makes dates of texts, with utc=True"):
        forecaster.predict(texts)
    found = forecaster.predict(texts.set_axis(pd.to_datetime(texts.index, utc=True)))
    np.testing.assert_array_equal(found, forecaster.predict())


def test_a_transformed_target_inside_is_told_what_it_gets():
    table = table_of().abs() + 1
    inside = TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp)
    with pytest.raises(ValueError, match="NaN") as caught, np.errstate(all="ignore"):
        make_forecaster(inside, WINDOW, HORIZON).fit(table)
    assert any("Transform the columns of the table instead" in note for note in caught.value.__notes__)


def test_groups_of_a_path_are_routed_as_those_of_a_search():
    from sklearn import config_context
    from sklearn.model_selection import GroupKFold, cross_validate

    from sklstm.model_selection import RegularizationPathCV

    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3, 1))
    y, groups = X[:, -1, 0], np.arange(40) // 5
    lstm = TikhonovLSTMRegressor(2, max_epochs=1, random_state=0)
    path = RegularizationPathCV(lstm, "lambda_s", [0.0, 0.1], cv=GroupKFold(2))
    search = GridSearchCV(lstm, {"lambda_s": [0.0, 0.1]}, cv=GroupKFold(2))
    with config_context(enable_metadata_routing=True):
        for model in (search, path):
            found = cross_validate(model, X, y, cv=GroupKFold(2), params={"groups": groups}, error_score="raise")
            assert np.isfinite(found["test_score"]).all()


def test_what_takes_a_model_says_what_a_forecaster_has():
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON).fit(table_of())
    with pytest.raises(TypeError, match=r"Pass its model_, with windows from last_windows\(\)"):
        sklstm.certify(forecaster, table_of(), eps=0.1)
    lower, upper = sklstm.certify(forecaster.model_, forecaster.last_windows(), eps=0.1)
    assert (lower <= upper).all()

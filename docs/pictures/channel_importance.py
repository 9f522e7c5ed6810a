"""Which channels a forecast of fine dust uses."""

from draw import BLUE
from penalty import data

from sklstm import TikhonovLSTMRegressor
from sklstm.inspection import channel_importance

SIZE = (7.2, 2.2)
NAMES = ["dust", "dew point", "temperature", "pressure", "wind"]


def draw(figure):
    X, y, X_test, y_test = data()
    model = TikhonovLSTMRegressor(hidden_size=8, max_epochs=15, random_state=0).fit(X, y)
    found = channel_importance(model, X_test, y_test, channel_names=NAMES, random_state=0)
    ax = figure.add_subplot()
    ax.barh(NAMES[::-1], found.importances_mean[::-1], xerr=found.importances_std[::-1], color=BLUE, alpha=0.8)
    ax.set_xlabel("loss of R² if the channel is permuted")

"""The estimators for toolkits of time series with axes (sequence, channel, time).

`sklstm.adapters.aeon` needs aeon, ``pip install "sklstm[aeon]"``, and `sklstm.adapters.sktime` needs sktime,
``pip install "sklstm[sktime]"``. Neither is imported before you import it.
"""

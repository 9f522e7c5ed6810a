"""The scikit-learn estimators, and what is done with fitted ones; all that is public is in `sklstm` itself."""

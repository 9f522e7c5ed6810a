"""Properties of estimators under random calls: what is drawn, what must hold, defects to plant."""

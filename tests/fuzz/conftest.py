import profiles  # noqa: F401  before any test is made, so that nothing is written to disk

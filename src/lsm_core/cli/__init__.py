"""The command `lsm`: one file per verb, each with `register(app)`."""

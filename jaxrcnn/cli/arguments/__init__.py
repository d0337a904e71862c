"""The arguments of every command. Nothing here loads jax or numpy, so that --help is quick."""

FIELDS = (
    "--config.FIELD VALUE sets a field of the config, as for train.py; `python train.py "
    "--help-all` lists the fields."
)
"""The end of the help of a command with `TAKES_FIELDS`."""

"""Whether jax finds something to run on."""

import os

from jaxrcnn.config import ConfigError


def check_devices() -> None:
    """See that jax can use the platform that is asked for, or any.

    Raises:
        ConfigError: it cannot; says why.
    """
    import jax

    try:
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:  # the latter where there is no such plugin
        reason = " ".join(str(error).split()) or "there is no such device, or no plugin for it"
        asked = os.environ.get("JAX_PLATFORMS", "")
        what = f"JAX_PLATFORMS={asked}" if asked else "jax"
        raise ConfigError(f"{what} cannot be used here: {reason}") from error

import pytest

from jaxrcnn.cli.hosts import Hosts, find_hosts
from jaxrcnn.config import ConfigError


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        ((None, None, None, None), None),
        (("auto", None, None, None), Hosts("auto")),
        ((None, "10.0.0.1:9911", 2, 1), Hosts("10.0.0.1:9911", 2, 1)),
        ((None, "[fe80::1]:9911", 2, 0), Hosts("[fe80::1]:9911", 2, 0)),
    ],
)
def test_where_the_processes_meet(options, hosts):
    assert find_hosts(*options) == hosts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            (None, "10.0.0.1:9911", 2, None),
            "--coordinator, --processes and --process must be given",
        ),
        ((None, None, None, 0), "--coordinator, --processes and --process must be given together"),
        (("auto", None, None, 1), "--distributed auto cannot be combined with"),
        ((None, "10.0.0.1", 2, 0), "--coordinator: got '10.0.0.1', expected HOST:PORT"),
        ((None, ":9911", 2, 0), "--coordinator: got ':9911', expected HOST:PORT"),
        ((None, "host:9911", 2, 2), r"--process: got 2, expected a number from 0 to .* \(1\)"),
        ((None, "host:9911", 0, 0), "--process: got 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        find_hosts(*options)

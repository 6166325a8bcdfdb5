"""Imports and starts Ray with our settings."""

import functools
import inspect
import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from harness.errors import InputError
from harness.plugins.source_files import Plugin
from harness.training.process_tuning import paused_gc

CONNECT_SECONDS = 20.0  # for a cluster to answer
OBJECT_STORE_BYTES = 2**30  # at most; the largest data set takes a quarter


def import_ray(address: str | None) -> str:
    """Import Ray with our settings in the environment; the address to connect to."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # it lists every dead trial
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
    # nothing is ever restored from Tune's snapshots
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "86400")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address == "local":
        _prepare_local_ray()
    with paused_gc():
        import ray.tune  # noqa: F401
    if os.environ["RAY_USAGE_STATS_ENABLED"] == "0":
        _count_no_callbacks()
    return address


def _count_no_callbacks() -> None:
    """Leave out that Tune counts callbacks for Ray's usage statistics, which are off.

    For this count Tune imports MLflow, W&B and Comet where they are installed. MLflow takes 2 s.
    """
    from ray.air._internal import usage

    usage.tag_callbacks = lambda callbacks: False


def _prepare_local_ray() -> None:
    """Have a local Ray start what it needs, listen on loopback alone, and require a random token
    that is not stored.

    Ray reads these settings when it is imported. If a plug-in imported Ray earlier, they come too
    late, and Ray listens on all interfaces (still token-protected).
    """
    if "ray" not in sys.modules:
        # Ray's name for it: 1 listens on every interface
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())
        # no processes in advance: Tune's trials get their own, and these would only use the CPUs
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")


def _init_options(address: str) -> dict[str, Any]:
    """The options of `ray.init`: quiet; for a local Ray, the resources that it may use."""
    logging.getLogger("ray.client_builder").setLevel(logging.ERROR)
    if address.startswith("ray://"):
        return {}
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    local = {
        "num_cpus": os.cpu_count(),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    return quiet | local if address == "local" else quiet


def start_ray(address: str) -> None:
    """Connect this process to Ray, or start a Ray of this machine.

    ConnectionError, ValueError or RuntimeError where there is none.
    """
    import ray

    _check_server(address)
    with _fewer_processes() if address == "local" else nullcontext():
        ray.init(address, **_init_options(address))


@contextmanager
def _fewer_processes() -> Iterator[None]:
    """Start Ray without the processes of its autoscaler, its reader of logs and its dashboard.

    A machine alone has no use for them, each imports Ray, and `ray.init` waits for the dashboard,
    which it starts even where `include_dashboard` is false. `ray start` has options for the others,
    `ray.init` has none.
    """
    from ray._private import node, parameter

    original: Any = parameter.RayParams
    unused = {"no_monitor": True, "include_log_monitor": False}
    # another version of Ray may have other names
    known = unused.keys() & inspect.signature(original).parameters.keys()
    own_params = functools.partial(original, **{name: unused[name] for name in known})
    with ExitStack() as patches:
        patches.enter_context(patch.object(parameter, "RayParams", own_params))
        if hasattr(node.Node, "start_api_server"):
            patches.enter_context(patch.object(node.Node, "start_api_server", _start_no_dashboard))
        yield


def _start_no_dashboard(node: Any, **_: Any) -> None:
    """In place of `ray._private.node.Node.start_api_server`: the dashboard has no address."""
    node._webui_url = ""


def _check_server(address: str) -> None:
    """ConnectionError where nothing listens at ray://HOST:PORT; Ray would try for half a minute."""
    target = urlsplit(address)
    if target.scheme != "ray" or target.hostname is None or target.port is None:
        return
    try:
        socket.create_connection((target.hostname, target.port), CONNECT_SECONDS).close()
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from None


def prepare_objects(plugins: Sequence[Plugin]) -> None:
    """Have Ray pickle the objects of plug-ins by value; InputError where one cannot be pickled.

    Those of `__main__` always are. Those of an imported module would be imported by the workers,
    which may lack the module.
    """
    from ray import cloudpickle

    for plugin in (plugin for plugin in plugins if plugin.objects):
        if plugin.package != "__main__":
            cloudpickle.register_pickle_by_value(sys.modules[plugin.package])
        try:
            cloudpickle.dumps(plugin)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"plug-in {plugin.name!r} cannot be sent to Ray's workers ({reason}); expected one "
                "that uses nothing that is bound to this process, or --launcher in-process"
            ) from None

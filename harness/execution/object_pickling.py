"""How classes and functions of a script or a notebook reach Ray's workers: by value."""

import sys
from collections.abc import Sequence

from harness.errors import InputError
from harness.plugins.source_files import Plugin


def prepare_objects(plugins: Sequence[Plugin]) -> None:
    """Have Ray pickle objects by value; InputError where one cannot be pickled.

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

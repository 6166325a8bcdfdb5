"""Models of an installed package."""

from pathlib import Path

from tests.unit.harness.plugins.test_registry import SOURCE, with_third_party


def test_a_third_partys_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    """Our own models are found too."""
    code = (
        "from harness.plugins import registry; print(*registry.cards(), "
        "registry.lookup('echo').__module__)"
    )
    *names, module = with_third_party(tmp_path, SOURCE, code).stdout.split()
    assert set(names) >= {"echo", "vae", "gmvae", "ssvae"}
    assert module == "third_party"

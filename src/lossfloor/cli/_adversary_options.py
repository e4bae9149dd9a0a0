"""The adversary that options describe: by a norm, by the name of a family, or by a file."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from lossfloor.cli._errors import UsageError

if TYPE_CHECKING:
    from lossfloor.adversaries import Adversary, Precomputed

_PANEL = "Adversary"
#: Bytes of a file that describes an adversary, above which it is not read.
_MOST_BYTES = 1 << 28
#: What stands in a help text for the names of all families until it is shown.
_FAMILY_NAMES = "FAMILIES"


class Command(TyperCommand):
    """A command whose help lists the families of adversaries, which are loaded only when it is shown."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for option in self.params:
            text = getattr(option, "help", None)
            if text and _FAMILY_NAMES in text:
                option.help = text.replace(_FAMILY_NAMES, ", ".join(_offered()))  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def _offered() -> list[str]:
    """Return the names of the families that the command line can make."""
    from lossfloor.adversaries import FAMILIES, CustomAdversary

    return [name for name in FAMILIES if name != CustomAdversary.name]


Name = Annotated[
    str | None,
    typer.Option(
        "--adversary",
        metavar="NAME",
        help=f"Name of an adversary family; set its parameters with --param: {_FAMILY_NAMES}.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="KEY=VALUE",
        help='A parameter of the family: a number, a word, or JSON such as [0, 1, "inf"]; can be repeated.',
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--adversary-json",
        metavar="FILE",
        help="A JSON file that describes the adversary: a result of --json, or the value of its key adversary.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Matrix = Annotated[
    Path | None,
    typer.Option(
        "--matrix",
        metavar="FILE",
        help="Matrix of a precomputed adversary: .npy, or .npz with one array or a SciPy matrix (CSR or CSC).",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


@dataclasses.dataclass(frozen=True)
class Description:
    """An adversary as options describe it.

    Attributes
    ----------
    config : dict
        What `lossfloor.adversaries.from_config` takes; the unit may be missing, and in a curve the budgets.
    path : Path, optional
        The file of the matrix of a precomputed adversary.
    """

    config: dict[str, Any]
    path: Path | None = None

    def make(self, unit: Any = None) -> Adversary:
        """Make the adversary.

        Parameters
        ----------
        unit : number, optional
            The unit of the data, for whatever has a unit; without it 1 is taken where none is stated.

        Raises
        ------
        UsageError, TypeError, ValueError
            If the description is not one of an adversary, or states another unit.
        """
        from lossfloor.adversaries import CustomAdversary, Precomputed, from_config

        config = _with_unit(self.config, unit)
        if config.get("name") == CustomAdversary.name:
            raise UsageError("--adversary custom consists of Python functions: use lossfloor.floor in Python")
        if config.get("name") == Precomputed.name:
            return self._precomputed(config)
        if self.path is not None:
            raise UsageError(f"--matrix goes with --adversary {Precomputed.name}")
        return from_config(config)

    def _precomputed(self, config: dict[str, Any]) -> Precomputed:
        from lossfloor._checks import one_of, unknown
        from lossfloor.adversaries import Precomputed

        for key in config:
            if key not in ("name", "matrix", "eps", "sha256"):
                raise UsageError(unknown(f"parameter of {Precomputed.name}", key, ["matrix", "eps"]))
        if self.path is None:
            raise UsageError(f"the adversary {Precomputed.name} needs --matrix FILE")
        eps = config.get("eps")
        kind = one_of("matrix", config.get("matrix", "conflicts" if eps is None else "distances"), _KINDS)
        adversary = Precomputed(**{kind: self._matrix}, eps=eps)
        if "sha256" in config and adversary.config()["sha256"] != config["sha256"]:
            raise UsageError(f"--matrix {self.path} is not the described matrix: its sha256 differs")
        return adversary

    @functools.cached_property
    def _matrix(self) -> Any:
        return read_matrix(self.path) if self.path is not None else None

    @functools.cached_property
    def n_budgets(self) -> int:
        """How many budgets are left open, for a curve to vary."""
        return len(_open_budgets(self.config))

    def with_budget(self, value: Fraction) -> Description:
        """Put a value where a budget was left open."""
        config = json.loads(json.dumps(self.config))
        for place, key in _open_budgets(config):
            place[key] = str(value)
        return Description(config, self.path)

    @property
    def has_unit(self) -> bool:
        """Whether a unit means anything to the adversary."""
        return any("unit" in _parameters(part) for part in _parts(self.config))


_KINDS = ("conflicts", "distances")


def norm_configs(*, l2: Any, l1: Any, linf: Any, lp: Any) -> dict[str, dict[str, Any] | None]:
    """Return for each option of a norm the configuration that it stands for, or None if it was not given.

    Parameters
    ----------
    l2, l1, linf : str, bool or None
        The eps; or, where a budget is to vary, whether the option was given.
    lp : (str, str), str or None
        The order and the eps; or, where a budget is to vary, the order.
    """
    configs: dict[str, dict[str, Any] | None] = {}
    for name, value in (("l2", l2), ("l1", l1), ("linf", linf)):
        with_eps = {"eps": value} if isinstance(value, str) else {}
        configs[name] = {"name": name, **with_eps} if value else None
    order, eps = (lp, None) if lp is None or isinstance(lp, str) else lp
    with_eps = {} if eps is None else {"eps": eps}
    configs["lp"] = None if order is None else {"name": "lp", "p": _order_text(order), **with_eps}
    return configs


def one_norm(*, l2: str | None, l1: str | None, linf: str | None, lp: tuple[str, str] | None, unit: Any) -> Adversary:
    """Make the ball of the one option of a norm that was given."""
    from lossfloor.adversaries import from_config

    configs = norm_configs(l2=l2, l1=l1, linf=linf, lp=lp)
    given = [name for name, config in configs.items() if config is not None]
    if len(given) != 1:
        got = " and ".join(f"--{name}" for name in given) or "none"
        raise UsageError(f"give exactly one of --l2, --l1, --linf and --lp, got {got}")
    return from_config({**(configs[given[0]] or {}), "unit": unit})


def _order_text(p: str) -> str:
    """Read the p of a norm as a configuration writes it."""
    return "inf" if p.strip().casefold() in ("inf", "infinity") else p


def described(
    norms: Mapping[str, dict[str, Any] | None],
    name: str | None,
    parameters: list[str] | None,
    json_file: Path | None,
    matrix: Path | None,
) -> Description:
    """Collect the options; exactly one of them must specify the adversary.

    Parameters
    ----------
    norms : mapping
        For each option of a norm the configuration that it stands for, or None if it was not given.
    name, parameters, json_file, matrix
        The options `Name`, `Parameters`, `JsonFile` and `Matrix`.
    """
    options: dict[str, object] = {**norms, "adversary": name, "adversary-json": json_file}
    given = [f"--{option}" for option, value in options.items() if value is not None]
    if len(given) != 1:
        flags = [f"--{option}" for option in options]
        got = " and ".join(given) or "none"
        raise UsageError(f"give exactly one of {', '.join(flags[:-1])} and {flags[-1]}, got {got}")
    if parameters and name is None:
        raise UsageError("--param goes with --adversary")
    if name is not None:
        return Description({"name": name, **_pairs(parameters or [])}, matrix)
    if json_file is not None:
        return Description(_read_json(json_file), matrix)
    return Description(next(config for config in norms.values() if config is not None), matrix)


def _pairs(values: list[str]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for value in values:
        key, sign, text = value.partition("=")
        if not (key and sign and text):
            raise UsageError(f"--param must be of the form KEY=VALUE, got {value!r}")
        if key == "name" or key in pairs:
            raise UsageError(f"--param gives {key!r} twice")
        # A number stays as it is written: JSON would make 0.1 the double next to it.
        is_json = text.lstrip()[:1] in ("[", "{", '"') or text.strip() in ("true", "false", "null")
        pairs[key] = _parse(text, f"--param {key}") if is_json else text
    return pairs


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"--adversary-json must be a file, got {path}")
    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"--adversary-json must be a file of at most {_MOST_BYTES} bytes, got {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"--adversary-json {path} is not UTF-8 text") from None
    config = _parse(text, f"--adversary-json {path}")
    if isinstance(config, dict) and "name" not in config:
        config = config.get("adversary")  # of a whole result
    if not isinstance(config, dict) or not isinstance(config.get("name"), str):
        raise UsageError(f"--adversary-json {path} must hold an object with the name of an adversary")
    return config


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise UsageError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{what} is not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs; JSON leaves open what a key that comes twice means."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key comes twice in an object")
    return made


def _parts(config: Any) -> list[dict[str, Any]]:
    """Return a configuration and those inside it."""
    found, todo = [], [config]
    while todo:
        part = todo.pop()
        if isinstance(part, dict) and isinstance(part.get("name"), str):
            found.append(part)
            family = _family(part)
            for key in () if family is None else family.part_keys:
                inside = part.get(key)
                todo += inside if isinstance(inside, list) else [inside]
    return found


def _family(config: dict[str, Any]) -> type[Adversary] | None:
    from lossfloor.adversaries import FAMILIES

    return FAMILIES.get(config["name"])


def _parameters(config: dict[str, Any]) -> Mapping[str, inspect.Parameter]:
    family = _family(config)
    return {} if family is None else inspect.signature(family).parameters


def _with_unit(config: dict[str, Any], unit: Any) -> dict[str, Any]:
    """Fill in the unit where it is missing; a stated unit must be the same."""
    from lossfloor._checks import as_fraction

    filled: dict[str, Any] = json.loads(json.dumps(config))
    for part in _parts(filled):
        if "unit" not in _parameters(part):
            continue
        stated = part.setdefault("unit", str(1 if unit is None else unit))
        if unit is not None and as_fraction("unit", stated) != as_fraction("unit", unit):
            raise UsageError(f"the adversary has the unit {stated}, but the data have {unit}: use --unit {stated}")
    return filled


def _open_budgets(config: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Return where budgets are left open: an object and its key, at most one per adversary."""
    places = []
    for part in _parts(config):
        family = _family(part)
        left = [key for key in (family and family.budgets) or () if key not in part]
        if len(left) > 1:
            raise UsageError(f"{part['name']} has two budgets: set {left[0]} or {left[1]} with --param")
        places += [(part, key) for key in left]
    return places


def read_matrix(path: Path) -> Any:
    """Read a matrix: one array of an .npy or .npz file, or a sparse matrix as SciPy writes it; never a pickle.

    Returns
    -------
    ndarray, csr_array or csc_array

    Raises
    ------
    UsageError, ValueError
        If the file holds something else, is damaged, or claims sizes that it does not hold.
    """
    from lossfloor._files import read_plain

    if not path.is_file():
        raise UsageError(f"--matrix must be a file, got {path}")
    arrays = read_plain(path)
    if "format" in arrays:
        return _sparse(arrays, path)
    if len(arrays) != 1:
        raise UsageError(f"--matrix {path} must hold one array, or a SciPy matrix, got {', '.join(sorted(arrays))}")
    return next(iter(arrays.values()))


def _sparse(arrays: Mapping[str, Any], path: Path) -> Any:
    from scipy import sparse

    form = arrays["format"].tobytes().rstrip(b"\0")
    if form not in (b"csr", b"csc"):
        raise UsageError(f"--matrix {path} must be in the form CSR or CSC: save_npz(path, matrix.tocsr())")
    try:
        parts = tuple(arrays[name] for name in ("data", "indices", "indptr"))
        n_rows, n_columns = arrays["shape"].tolist()
        if any(part.ndim != 1 for part in parts) or any(part.dtype.kind != "i" for part in parts[1:]):
            raise ValueError("arrays of another kind")
        make = sparse.csr_array if form == b"csr" else sparse.csc_array
        matrix = make(parts, shape=(n_rows, n_columns))
        matrix.check_format(full_check=True)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"--matrix {path} is a damaged SciPy matrix: {error}") from None
    return matrix

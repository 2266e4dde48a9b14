"""GGUF, the format of llama.cpp: a file is converted once, into a model folder in the cache.

transformers reads it (package `gguf`); what it loses on the way is put back by
`loading/gguf_settings.py`. The folder is read again and compared with the file before it takes its
place, so that what is loaded from then on is an ordinary model.
"""

import hashlib
import importlib.util
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from equipoise.errors import EquipoiseError, ModelError
from equipoise.files.atomic import new_folder, write_file
from equipoise.files.cache import cache_folder, cached_sha256
from equipoise.files.json_records import read_object, record_json
from equipoise.files.locking import locked
from equipoise.loading import gguf_settings
from equipoise.records import JSON

RECORD = "gguf.json"  # in the converted folder: what it was converted from, and how
_CONVERSION = 1  # raise it when a converted folder could change
_FORMS = (
    r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf",  # llama.cpp's shards
    r"(?P<stem>.+)\.gguf",
    r"(?P<stem>.+)\.gguf[.-](?:part|split)[-_.]?(?P<number>\d+|[a-z]+)(?:of(?P<count>\d+))?",
)
_LOADED_ITSELF = ("*.safetensors", "adapter_config.json", "edit.json")
_NO_WEIGHTS = re.compile(r"rope_(freqs|factors_\w+)\.weight")  # tensors that turn positions


@dataclass(frozen=True, slots=True)
class Gguf:
    """A GGUF file by its name without parts, "model.Q4_1.gguf", and its parts in order."""

    path: Path  # the file that the parts make, whether it is there or not
    parts: tuple[Path, ...]

    @property
    def sha256(self) -> str:
        """sha256 (hex) of the file; of several parts, that of their hashes, each on a line."""
        digests = [cached_sha256(part) for part in self.parts]
        return digests[0] if len(digests) == 1 else _digest(digests)


def find_gguf(place: Path) -> Gguf | None:
    """The GGUF that a path is, a part of it, or a folder with it; None: it is no GGUF.

    A folder with safetensors weights, an adapter or an edit is theirs.
    Raises `ModelError` when a folder holds several models or a part is missing.
    """
    if place.is_file():
        chosen = _split_name(place)
        return None if chosen is None else _gather(place.parent, chosen[0])
    if not place.is_dir() or any(next(place.glob(name), None) for name in _LOADED_ITSELF):
        return None
    names = {split[0] for file in place.iterdir() if (split := _split_name(file))}
    # beside the text model of a multimodal model lies its picture tower
    models = sorted(name for name in names if not name.startswith("mmproj"))
    if len(models) > 1:
        raise ModelError(
            f"{place} must hold a single GGUF model, it holds {', '.join(models)}; name a file of "
            f"it, such as {place / models[0]}"
        )
    return _gather(place, models[0]) if models else None


def convert_gguf(gguf: Gguf) -> Path:
    """The model folder that a GGUF was converted to, once, under `EQUIPOISE_CACHE`.

    Killed at any moment it leaves no half of it, and two processes convert it once.
    Raises `ModelError` when the extra is missing, or transformers cannot read the file or reads
    less of it than it holds; `StoreError` when the cache cannot be written.
    """
    if importlib.util.find_spec("gguf") is None:
        raise ModelError(
            f"{gguf.path.name} must be read with the package gguf, which is not installed; "
            "pip install 'equipoise[gguf]'"
        )
    versions = {name: version(name) for name in ("transformers", "tokenizers", "gguf")}
    versions["conversion"] = str(_CONVERSION)
    key = _digest([gguf.sha256, *map(" ".join, sorted(versions.items()))])[:16]
    folder = cache_folder() / "gguf" / key
    if (folder / RECORD).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(Path(f"{folder}.lock"), timeout=-1):
        if (folder / RECORD).is_file():
            return folder
        for unfinished in folder.parent.glob(f".{key}.*.part"):  # of a killed process
            shutil.rmtree(unfinished, ignore_errors=True)
        with new_folder(folder, what="model converted from GGUF into EQUIPOISE_CACHE:") as beside:
            with _explain(gguf):
                record = _convert(gguf, beside)
            record |= {"sha256": gguf.sha256, "versions": dict[str, JSON](versions)}
            write_file(beside / RECORD, record_json(record), what="record of a conversion")
    return folder


def read_record(folder: Path) -> dict[str, JSON] | None:
    """What a converted folder was converted from; None: it is an ordinary model folder."""
    return read_object(folder / RECORD) if (folder / RECORD).is_file() else None


# --- files and their parts --------------------------------------------------------------------


def _split_name(file: Path) -> tuple[str, str, int | None] | None:
    """The whole file's name, the number of this part ("" if whole), and how many there are."""
    for form in _FORMS:
        match = re.fullmatch(form, file.name)
        if match:
            groups = match.groupdict()
            count = int(groups["count"]) if groups.get("count") else None
            return f"{groups['stem']}.gguf", groups.get("number") or "", count
    return None


def _gather(folder: Path, name: str) -> Gguf:
    parts: dict[str, Path] = {}
    counts = set()
    for file in folder.iterdir():
        split = _split_name(file)
        if split is not None and split[0] == name:
            parts[split[1]] = file
            counts.add(split[2])
    if "" in parts:  # a whole file, beside which the parts may lie that it was joined from
        return Gguf(folder / name, (parts[""],))
    order = sorted(parts, key=lambda number: (len(number.lstrip("0")), number))
    first = order[0]
    numbers = [int(number) if number.isdigit() else _letters(number) for number in order]
    count = counts.pop() or len(order)
    whole = numbers == list(range(numbers[0], numbers[0] + len(order)))
    if not whole or len(order) != count or numbers[0] > 1:
        raise ModelError(
            f"{folder / name} must have all its parts, it has {len(order)} of {count}, from "
            f"{parts[first].name} to {parts[order[-1]].name}; fetch the others, too"
        )
    return Gguf(folder / name, tuple(parts[number] for number in order))


def _letters(number: str) -> int:
    """Parts may be counted a, b, c or aa, ab, ac."""
    value = 0
    for letter in number:
        value = 26 * value + ord(letter) - ord("a")
    return value


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _join(gguf: Gguf, target: Path) -> None:
    """Put the whole file at `target`: a link, bytes end to end, or the tensors of all shards."""
    if len(gguf.parts) == 1:
        target.symlink_to(gguf.parts[0].resolve())
        return
    if gguf.parts[1].suffix != ".gguf":
        with target.open("wb") as whole:
            for part in gguf.parts:
                with part.open("rb") as stream:
                    shutil.copyfileobj(stream, whole, 1 << 24)
        return
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    readers = [GGUFReader(part) for part in gguf.parts]
    writer = GGUFWriter(target, readers[0].fields["general.architecture"].contents())
    for field in readers[0].fields.values():
        if field.name.startswith(("GGUF.", "split.")) or field.name == "general.architecture":
            continue
        inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    for reader in readers:
        for tensor in reader.tensors:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# --- the conversion ---------------------------------------------------------------------------


@contextmanager
def _explain(gguf: Gguf) -> Iterator[None]:
    """A foreign file can fail in any way: whatever is raised becomes a sentence."""
    try:
        yield
    except EquipoiseError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise ModelError(
            f"{gguf.path.name} must be a whole GGUF file of a language model that transformers "
            f"reads, got: {reason}; copy it again if it was cut short, or take the model's "
            "safetensors"
        ) from error


@contextmanager
def _read_once(path: Path) -> Iterator[Any]:
    """A `with` block in which whoever reads the file gets the same reader of it.

    transformers reads it for the settings, for the weights and for the tokenizer, and each time
    word by word, which for Gemma's 262,144 takes 18 s of a processor.
    """
    import gguf

    read, reader = gguf.GGUFReader, gguf.GGUFReader(path)
    gguf.GGUFReader = lambda _path: reader
    try:
        yield reader
    finally:
        gguf.GGUFReader = read


def _convert(gguf: Gguf, folder: Path) -> dict[str, JSON]:
    """Write the model and its tokenizer into `folder`; gives what is to be recorded."""
    with TemporaryDirectory(dir=folder) as place:
        name = "model.gguf"  # alone in a folder: a config.json beside it may be another model's
        _join(gguf, Path(place, name))
        with _read_once(Path(place, name)) as reader:
            settings = gguf_settings.read(reader)
            factors = gguf_settings.read_rope_factors(reader)
            config = AutoConfig.from_pretrained(place, gguf_file=name)
            not_read = gguf_settings.restore_config(config, settings, factors)
            module, report = AutoModelForCausalLM.from_pretrained(
                place, gguf_file=name, config=config, dtype=torch.float32, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
    verified = gguf_settings.restore_tokenizer(tokenizer, settings)
    missing = sorted(report["missing_keys"])
    if missing:  # transformers fills them with random values
        raise ModelError(
            f"{gguf.path.name} must hold every weight of {type(module).__name__}, it lacks "
            f"{len(missing)}, first '{missing[0]}'; take the model's safetensors"
        )
    # all numbers are plain by now; with these two the model could be neither saved nor trained
    vars(module.config).pop("quantization_config", None)
    module.hf_quantizer = None
    module.config.name_or_path = ""
    module.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    saved = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    gguf_settings.check_rotation(saved, settings, factors)
    _check_size(saved, reader)
    types = Counter(tensor.tensor_type.name for tensor in reader.tensors)
    return {
        "file": gguf.path.name,
        "parts": len(gguf.parts),
        "quantization": gguf_settings.name_quantization(settings) or types.most_common(1)[0][0],
        "tensors": dict[str, JSON](types),
        "dequantized_to": "float32",
        "pre_tokenizer": settings.get("tokenizer.ggml.pre"),
        "pre_tokenizer_verified": verified,
        "not_read": list[JSON](not_read),
    }


def _check_size(module: PreTrainedModel, reader: Any) -> None:
    """Raise `ModelError` unless the model has as many numbers as the file: none were passed over.

    transformers leaves tensors that it does not know out without a word.
    """
    depth = module.config.num_hidden_layers
    tied = module.config.tie_word_embeddings
    total = 0
    for tensor in reader.tensors:
        block = re.match(r"blk\.(\d+)\.", tensor.name)
        beyond = block and int(block[1]) >= depth  # that predicts several tokens at once
        if not (_NO_WEIGHTS.fullmatch(tensor.name) or beyond):
            total += 0 if tied and tensor.name == "output.weight" else int(tensor.n_elements)
    if module.num_parameters() != total:
        raise ModelError(
            f"the model must have all {total} numbers of the GGUF's tensors, transformers made "
            f"{module.num_parameters()} of them in {type(module).__name__}; take the model's "
            "safetensors"
        )

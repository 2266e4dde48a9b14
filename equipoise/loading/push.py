"""Put an edit, or a model that edits were merged into, on the Hub: only when asked, and whole.

What is sent is an edit saved anew, with nothing of this machine in it, or the files of a merged
model by name. Nothing is sent before all that can be checked here has been checked.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from equipoise.edits.base import CARD, HEAD, Edit, write_card
from equipoise.edits.edit import edits_under
from equipoise.edits.model_card import hub_id, info_without_places, measured_changes
from equipoise.edits.registry import CombinedEdit, load_edit
from equipoise.errors import ModelError
from equipoise.loading.checkpoint import FILES
from equipoise.loading.merged_record import MERGED, read_merged

#: Of the repository itself, which a new one may have.
_EMPTY = {".gitattributes", ".gitignore"}


def push(
    folder: Path | str,
    repository: str,
    *,
    revision: str | None = None,
    base: str | None = None,
    private: bool = False,
    force: bool = False,
) -> str:
    """Upload a saved edit or a merged model to the Hub; gives its address.

    `repository`: "owner/name"; `revision`: a branch, made where it is missing. `base`: what the
    edit's base is called on the Hub, where it was learnt on a local copy ("gpt2", "gpt2@REVISION").
    `force`: also into a repository that has files. `private`: of a new repository.
    Raises `ModelError`, and then nothing was sent: for a folder of something else, an edit whose
    base nobody else can find, a repository that has files, one that is public where `private` is
    asked for, and without a token.
    """
    folder = Path(folder).expanduser()
    _check_name(repository)
    _check_folder(folder)
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"the Hub must be reached to push to {repository}, HF_HUB_OFFLINE is set; unset it"
        )
    if huggingface_hub.get_token() is None:
        raise ModelError(
            f"a token must be there to push to {repository}, none is; log in with `hf auth login`, "
            "or set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens)"
        )
    api = huggingface_hub.HfApi()
    with _prepared(folder, base) as (place, files):
        try:
            _check_repository(api, repository, revision, private=private, force=force)
            api.create_repo(repository, private=private, exist_ok=True)
            if revision is not None:
                api.create_branch(repository, branch=revision, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=place,
                revision=revision,
                allow_patterns=files,
                commit_message="Upload with equipoise push",
            )
        except (HfHubHTTPError, OSError) as error:
            raise ModelError(
                f"the Hub must take {repository}, it says: {' '.join(str(error).split())!r:.300}; "
                "check the name and what the token may do"
            ) from error
    return str(commit.commit_url)


def _check_name(repository: str) -> None:
    try:
        validate_repo_id(repository)
        if repository.count("/") != 1:
            raise HFValidationError(repository)
    except HFValidationError:
        raise ModelError(
            f"a place on the Hub must be OWNER/NAME, got '{repository}'; write your user name, a "
            "slash and a name"
        ) from None


def _check_folder(folder: Path) -> None:
    """Raise `ModelError` for a folder of something else."""
    if not any((folder / name).is_file() for name in (HEAD, MERGED)):
        raise ModelError(
            f"what is pushed must be a saved edit ({HEAD}) or a merged model ({MERGED}), {folder} "
            "is neither; name the folder that mitigate or merge wrote"
        )


def _check_repository(
    api: huggingface_hub.HfApi, repository: str, revision: str | None, *, private: bool, force: bool
) -> None:
    """Raise `ModelError` for a repository that is public against the wish, or has files."""
    if not api.repo_exists(repository):
        return
    if private and not api.repo_info(repository).private:
        raise ModelError(
            f"a repository must be private for --private, {repository} is there and is public; "
            "make it private in its settings, or choose another name"
        )
    branches = {branch.name for branch in api.list_repo_refs(repository).branches}
    # a new branch begins as main, so that its files count there, too
    place = revision if revision in branches else None
    files = sorted(set(api.list_repo_files(repository, revision=place)) - _EMPTY)
    if files and not force:
        raise ModelError(
            f"a repository must be empty to be pushed to, {repository} has {len(files)} files "
            f"({', '.join(files[:3])}, …); choose another name or revision, or overwrite with "
            "--force"
        )


@contextmanager
def _prepared(folder: Path, base: str | None) -> Iterator[tuple[Path, list[str]]]:
    """A folder and which of its files are sent. Raises `ModelError` for what is of no use there."""
    if (folder / HEAD).is_file():
        with tempfile.TemporaryDirectory() as place:
            edit = _for_everybody(load_edit(folder), base)
            edit.save(Path(place) / "edit")
            card = folder / CARD
            text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
            write_card(Path(place) / "edit", measured_changes(text))
            yield Path(place) / "edit", ["*"]
        return
    if base is not None:
        raise ModelError(
            f"a base must be given for an edit, got {base} for the merged model {folder}; leave "
            "it out"
        )
    record = read_merged(folder)
    weights = [] if record is None else [*record.files]
    yield folder, [CARD, *FILES, *weights, "*.py"]


def _for_everybody(edit: Edit, base: str | None) -> Edit:
    """The edit with its base's name on the Hub, and without paths of this machine."""
    if under := edits_under(edit.info):
        raise ModelError(
            f"an edit must be of a model alone to be pushed, '{edit.info.method}' is on top of "
            f"{under[0]}; merge it (equipoise merge) and push that"
        )
    return _without_this_machine(edit, base)


def _without_this_machine(edit: Edit, base: str | None) -> Edit:
    info = edit.info if base is None else replace(edit.info, base_name=base)
    if not (hub_id(info) or info.base_name.startswith("planted:")):
        raise ModelError(
            f"an edit must have a base that everybody can load to be pushed, that of "
            f"'{info.method}' is the folder of {info.base}; give its name on the Hub (base=, "
            "--base), or merge the edit (equipoise merge) and push that"
        )
    edit = replace(edit, info=info_without_places(info))
    if isinstance(edit, CombinedEdit):
        first, second = (_without_this_machine(part, base) for part in (edit.first, edit.second))
        return replace(edit, first=first, second=second)
    return edit

"""Files that hang on records and notes of the simulated organisation."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandbox.zoho.records import Record

FILE_LIMIT = 20 * 1024 * 1024
"""Of one file: the smaller of the two that Zoho's papers name."""
REFUSED_ENDINGS = (".exe",)


@dataclass(eq=False)
class File:
    """Whoever may see the holder may see the file; nobody else can."""

    id: str
    name: str
    content_type: str
    content: bytes = field(repr=False)
    holder: Record
    created_at: float
    deleted_at: float | None = None
    """Since when it lies in the recycle bin."""


@dataclass(eq=False)
class Files:
    """All there are, by id, those in the bin too."""

    held: dict[str, File] = field(default_factory=dict)
    space_bytes: int | None = None
    may_delete: bool = True
    """Whether the user whose access it is may take files away."""
    are_let_go: bool = True
    """False: Zoho fails to delete them, as it may."""
    are_binned_alone: bool = True
    """Whether a file that was taken away can be taken out of the bin by its own id."""

    @property
    def used_bytes(self) -> int:
        """The bin counts too."""
        return sum(len(one.content) for one in self.held.values())

    def add(self, one: File) -> File:
        """A name may stand there twice."""
        self.held[one.id] = one
        return one

    def on(self, holder: Record) -> list[File]:
        """What hangs there now. With a record its files go into the bin."""
        held = (one for one in self.held.values() if one.holder is holder and holder.is_live)
        return [one for one in held if one.deleted_at is None]

    def named(self, name: str) -> list[File]:
        return [one for one in self.held.values() if one.name == name and one in self.on(one.holder)]

    def purge(self, file_id: str) -> bool:
        """Out of the bin, if it lies there alone."""
        one = self.held.get(file_id)
        if one is None or one.deleted_at is None or not self.are_binned_alone:
            return False
        del self.held[file_id]
        return True

    def purge_with(self, holder: Record) -> None:
        self.held = {file_id: one for file_id, one in self.held.items() if one.holder is not holder}

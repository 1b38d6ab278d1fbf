"""Forms that ask twice: what they do is said on a page of its own, before they do it."""

from collections.abc import Mapping
from typing import Final

from litestar.response import Template

from strongroom.console.viewer import Viewer

SURE: Final = "sure"
YES: Final = "yes"


def is_sure(form: Mapping[str, str]) -> bool:
    """Whether whoever sent the form has read the question."""
    return form.get(SURE) == YES


def question(
    viewer: Viewer, asked: str, told: str, action: str, fields: Mapping[str, str], button: str, *, back: str
) -> Template:
    """Sends `fields` to `action` again, for good. `back` is the page of whoever leaves it as it is."""
    return viewer.page(
        "confirm.html",
        question=asked,
        told=told,
        action=action,
        fields={**fields, SURE: YES},
        button=button,
        back=back,
    )

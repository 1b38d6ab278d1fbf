"""Codes that only the console gives."""

from collections.abc import Mapping

from strongroom.core.advice import Advice

ADVICE: Mapping[str, Advice] = {
    "signed_out": Advice(401, "Nobody is signed in to the console, or no longer.", "Sign in again."),
    "foreign_form": Advice(
        403,
        "The form did not come from a page of this console, or its page is of an earlier session; nothing was done.",
        "Load the page again and send its form.",
    ),
    "form_invalid": Advice(400, "What was sent is no form of the console.", "Use the page's own form."),
    "token_malformed": Advice(
        400, "What was given is no API token.", "Paste the whole token; it begins with `sr_`."
    ),
}

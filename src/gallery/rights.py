"""Licenses and rights statements, by the addresses that programs compare letter by letter."""

import re

CC0 = "http://creativecommons.org/publicdomain/zero/1.0/"

LICENSE = re.compile(  # with the country of those that were adapted to its law
    r"https?://(?:www\.)?creativecommons\.org/"
    r"(licenses/by(?:-nc)?(?:-nd|-sa)?/[1-4]\.\d(?:/[a-z]{2,5})?|publicdomain/(?:zero|mark)/1\.0)"
    r"/?(?:deed(?:\.[A-Za-z_-]{2,7})?|legalcode)?"
)
STATEMENT = re.compile(
    r"https?://rightsstatements\.org/(?:vocab|page)/"
    r"(InC|InC-OW-EU|InC-EDU|InC-NC|InC-RUU|NoC-CR|NoC-NC|NoC-OKLR|NoC-US|CNE|UND|NKC)/1\.0/?"
)


def rights_uri(text: str) -> str:
    """Return the URI of a license by Creative Commons or of a statement by RightsStatements.org.

    "" for any other text. Both define http addresses, whatever their pages are reached by
    (https://iiif.io/api/presentation/3.0/#rights).

    >>> rights_uri("https://creativecommons.org/licenses/by-sa/4.0/deed.de")
    'http://creativecommons.org/licenses/by-sa/4.0/'
    >>> rights_uri("https://rightsstatements.org/page/InC-EDU/1.0/"), rights_uri("ask the museum")
    ('http://rightsstatements.org/vocab/InC-EDU/1.0/', '')
    """
    if found := LICENSE.fullmatch(text):
        return f"http://creativecommons.org/{found[1]}/"
    if found := STATEMENT.fullmatch(text):
        return f"http://rightsstatements.org/vocab/{found[1]}/1.0/"
    return ""

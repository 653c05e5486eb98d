"""XML as a tree whose elements know their lines; parsed without entities (defusedxml)."""

from __future__ import annotations

import xml.sax
from dataclasses import dataclass, field
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from manifests.errors import ManifestError, Problem
from manifests.images import UnusableImage, read_file

_DEEPEST = 32


@dataclass
class Element:
    """Attributes:
    text: directly in it, without space around.
    """

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, tag: str) -> Element | None:
        """The first child of that tag."""
        return next((one for one in self.children if one.tag == tag), None)

    def text_of(self, tag: str) -> str:
        """Text of the first child of that tag; empty without one."""
        child = self.child(tag)
        return "" if child is None else child.text


def read_xml(file: str) -> Element:
    """The root element of an XML file.

    Raises:
        ManifestError: for what is no XML, has entities or is nested deeper than any labels.
    """
    tree = _Tree()
    try:
        data, _ = read_file(file)
        defusedxml.sax.parseString(data, tree)
    except UnusableImage as error:
        raise _error(file, None, str(error)) from None
    except xml.sax.SAXParseException as error:
        raise _error(file, error.getLineNumber(), f"is not XML: {error.getMessage()}") from None
    except DefusedXmlException as error:
        message = f"declares entities, which labels do not need: {type(error).__name__}"
        raise _error(file, tree.line, message) from None
    except (xml.sax.SAXException, ValueError, LookupError) as error:  # of an odd encoding, say
        raise _error(file, tree.line, f"is not XML: {error}") from None
    assert tree.root is not None
    return tree.root


class _Tree(ContentHandler):
    """What the parser tells, as a tree."""

    def __init__(self) -> None:
        super().__init__()
        self.root: Element | None = None
        self._open: list[Element] = []
        # Of the open elements. The parser tells of each line apart: joined at the end alone, for
        # text that grows by every line is copied by every line.
        self._texts: list[list[str]] = []
        self._where: Locator | None = None

    @property
    def line(self) -> int | None:
        return self._where.getLineNumber() if self._where else None

    def setDocumentLocator(self, locator: Locator) -> None:  # xml.sax calls it so
        self._where = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:
        if len(self._open) == _DEEPEST:
            raise xml.sax.SAXException(f"more than {_DEEPEST} elements inside each other")
        element = Element(name, self.line or 1)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def endElement(self, name: str) -> None:
        element = self._open.pop()
        element.text = "".join(self._texts.pop()).strip()

    def characters(self, content: str) -> None:
        self._texts[-1].append(content)


def _error(file: str, line: int | None, message: str) -> ManifestError:
    return ManifestError([Problem(file, line, "", message)])

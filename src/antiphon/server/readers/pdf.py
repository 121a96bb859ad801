"""The text of PDF files, page by page, read with pypdf."""

from __future__ import annotations

import logging
import warnings
from io import BytesIO

from . import Unreadable

__all__ = ("text",)


def text(data: bytes) -> str:
    try:
        from pypdf import PdfReader
        from pypdf.errors import FileNotDecryptedError
    except ImportError:
        raise Unreadable(
            "server_error", "PDF files are read with pypdf, which is not installed: pip install 'antiphon[server]'."
        ) from None
    # It tells of every oddity of a file; what counts is whether text comes out.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "\n\n".join(page.extract_text().strip() for page in PdfReader(BytesIO(data)).pages)
    except FileNotDecryptedError:
        raise Unreadable("invalid_file", "The PDF file is protected by a password.") from None
    except Exception as error:  # a broken file breaks the parser in ways of its own
        why = str(error) or type(error).__name__
        raise Unreadable("invalid_file", f"The PDF file cannot be read: {why}.") from None

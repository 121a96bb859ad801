"""What answers when a model is asked: words, valid JSON, vectors, pictures, videos, sounds, scores, your function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kernel.lazy import lazily

if TYPE_CHECKING:
    from .default import Default as Default
    from .embeddings import EmbeddingFunction as EmbeddingFunction
    from .embeddings import HashEmbeddings as HashEmbeddings
    from .embeddings import embedding_engine as embedding_engine
    from .functions import Function as Function
    from .functions import engine as engine
    from .functions import never_blocks as never_blocks
    from .images import DrawnImages as DrawnImages
    from .images import ImageFunction as ImageFunction
    from .images import image_engine as image_engine
    from .latency import PROFILES as PROFILES
    from .latency import Latency as Latency
    from .moderation import ModerationFunction as ModerationFunction
    from .moderation import WordListModeration as WordListModeration
    from .moderation import moderation_engine as moderation_engine
    from .paced import Paced as Paced
    from .speech import SpeechFunction as SpeechFunction
    from .speech import Synthesizer as Synthesizer
    from .speech import Tones as Tones
    from .speech import speech_engine as speech_engine
    from .text import Echo as Echo
    from .text import LoremIpsum as LoremIpsum
    from .text import ReverseInput as ReverseInput
    from .transcription import MadeUp as MadeUp
    from .transcription import Recognizer as Recognizer
    from .transcription import TranscriptionFunction as TranscriptionFunction
    from .transcription import transcription_engine as transcription_engine
    from .videos import DrawnVideos as DrawnVideos
    from .videos import VideoFunction as VideoFunction
    from .videos import video_engine as video_engine

_WHERE = {
    "Default": ".default",
    "DrawnImages": ".images",
    "DrawnVideos": ".videos",
    "Echo": ".text",
    "EmbeddingFunction": ".embeddings",
    "Function": ".functions",
    "HashEmbeddings": ".embeddings",
    "ImageFunction": ".images",
    "Latency": ".latency",
    "LoremIpsum": ".text",
    "MadeUp": ".transcription",
    "ModerationFunction": ".moderation",
    "PROFILES": ".latency",
    "Paced": ".paced",
    "Recognizer": ".transcription",
    "ReverseInput": ".text",
    "SpeechFunction": ".speech",
    "Synthesizer": ".speech",
    "Tones": ".speech",
    "TranscriptionFunction": ".transcription",
    "VideoFunction": ".videos",
    "WordListModeration": ".moderation",
    "embedding_engine": ".embeddings",
    "engine": ".functions",
    "image_engine": ".images",
    "moderation_engine": ".moderation",
    "never_blocks": ".functions",
    "speech_engine": ".speech",
    "transcription_engine": ".transcription",
    "video_engine": ".videos",
}

__all__ = tuple(sorted(_WHERE))  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = lazily(__name__, _WHERE)

"""What is promised of PERSON: its rules and examples. They are looked for by detect_pii.person."""

from __future__ import annotations

from mockupaws.stream_processors.detect_pii.detector import Detector

PERSON_RULES: dict[str, tuple[int, float]] = {
    "person.field": (1, 0.9),
    "person.titled": (1, 0.9),
    "person.addressed": (1, 0.85),
    "person.header": (1, 0.85),
    "person.role": (1, 0.8),
    "person.known": (1, 0.7),
}
"""Version and score of each rule."""

PERSON = Detector(
    pii_type="PERSON",
    why="Says who it is about. Only looked for where the policy asks for it (`person`): names have no form of their own, so it "
    "is found by what stands before it and by lists of names, in Python, and less surely than all else here.",
    expressions=(),
    positives=(
        ("Dear Maria Rossi, your parcel is on its way", "Maria Rossi"),
        ('{"customer":{"name":"John Smith"}}', "John Smith"),
        ("From: Anna Schmidt <[EMAIL]>", "Anna Schmidt"),
        ("Herr Müller bittet um Rückruf", "Müller"),
        ("customer_name=Giulia Ferrari order=5", "Giulia Ferrari"),
    ),
    negatives=(
        "Dear customer, your parcel is on its way",
        '{"name":"Content-Type","value":"x"}',
        "Internal Server Error",
        "Victoria Station delayed",
        "From: GitHub Actions <[EMAIL]>",
        "Dear [PERSON],",
    ),
)

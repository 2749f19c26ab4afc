"""Lessons: ``book/papers/<paper>/lesson.md``, with a quiz beside it, ``quiz.yaml``, of which the page shows questions with folded
answers and the instructor's key shows what wrong answers come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtlrepro import paths
from mtlrepro.book import exercises
from mtlrepro.errors import BadValue
from mtlrepro.files import read_yaml


class Question(BaseModel):
    """A question of a quiz, all texts in markdown. right: number of the right answer, from 1. why: the explanation. slip: what a
    wrong answer most often comes from, for the instructor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str
    answers: list[str] = Field(min_length=2)
    right: int = Field(ge=1)
    why: str
    slip: str

    def lines(self, number: int) -> list[str]:
        """The question with its answers, lettered; markdown."""
        letters = [f"- {chr(97 + place)}) {answer}" for place, answer in enumerate(self.answers)]
        return [f"**{number}.** {self.question.strip()}", "", *letters, ""]

    @property
    def answer(self) -> str:
        return f"**{chr(96 + self.right)})** {self.why.strip()}"


def folder(paper: str) -> Path:
    return paths.book() / "papers" / paper


def quiz(paper: str) -> list[Question]:
    """The questions of a paper's quiz. Raises BadValue, naming the question and the field, for one that breaks the schema."""
    questions = []
    for number, entry in enumerate(read_yaml(folder(paper) / "quiz.yaml"), 1):
        try:
            question = Question(**entry)
        except ValidationError as error:
            first = error.errors()[0]
            raise BadValue(f"quiz.yaml of {paper}, question {number}, {first['loc'][0]}: {first['msg']}.") from None
        if question.right > len(question.answers):
            raise BadValue(f"quiz.yaml of {paper}, question {number}: there is no answer {question.right}.")
        questions.append(question)
    return questions


def folded_quiz(paper: str) -> list[str]:
    """The quiz as the book shows it: each answer folded below its question."""
    return [
        line
        for number, question in enumerate(quiz(paper), 1)
        for line in (*question.lines(number), ":::{dropdown} Answer", question.answer, ":::", "")
    ]


def exercise_list(paper: str, link: Callable[[Path, str], str]) -> list[str]:
    """The exercises with their times, and links to the student's and the solution's files as `link` (file, text) writes them."""
    lines = []
    for number, exercise in enumerate(exercises.of_paper(paper), 1):
        title = exercise.title.partition(": ")[2]
        files = [(exercise.student.with_suffix(".ipynb"), "notebook"), (exercise.student, "script")]
        files += [(exercise.source.with_suffix(".ipynb"), "solution")]
        links = ", ".join(link(file, text) for file, text in files)
        lines.append(f"{number}. {title[:1].upper()}{title[1:]} (about {exercise.minutes} minutes): {links}")
    return [*lines, ""]


def plain(paper: str) -> str:
    """The lesson as a file of its own: no directive, no link into the book; quiz and exercises come beside it."""
    text = (folder(paper) / "lesson.md").read_text(encoding="utf-8")
    text = re.sub(r"\n## (?:Quiz|Exercises)\n+```.*?```\n", "", text, flags=re.DOTALL)
    return re.sub(r"\[([^\]]+)\]\(/[^)]+\)", r"\1", text)


def key(paper: str) -> str:
    """The instructor's key: right answers, explanations, what wrong answers come from, and the exercises' times."""
    lines = ["# Key to the quiz", ""]
    for number, question in enumerate(quiz(paper), 1):
        lines += [
            *question.lines(number),
            question.answer,
            "",
            f"*A wrong answer most often comes from this:* {question.slip}",
            "",
        ]
    times = [f"- {exercise.title}: about {exercise.minutes} minutes" for exercise in exercises.of_paper(paper)]
    return "\n".join([*lines, "## Times of the exercises", "", *times, ""])

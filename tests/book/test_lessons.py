"""Laws of the lessons: ninety minutes without a gap, five questions with answers, links that lead somewhere."""

from __future__ import annotations

import re

import pytest

from mtlrepro import exhibits, paths
from mtlrepro.book import classroom, lessons

papers = pytest.mark.parametrize("paper", exhibits.papers())


def text(paper: str) -> str:
    return (lessons.folder(paper) / "lesson.md").read_text(encoding="utf-8")


@papers
def test_a_lesson_has_every_part(paper: str) -> None:
    headings = re.findall(r"^## (.+)$", text(paper), re.MULTILINE)
    wanted = ["Goals", "Ninety minutes", "Questions for the board", "What students get wrong", "Quiz", "Exercises"]
    assert headings == wanted
    assert "**Before the lesson:**" in text(paper)


@papers
def test_the_plan_covers_ninety_minutes_without_a_gap(paper: str) -> None:
    spans = [(int(start), int(end)) for start, end in re.findall(r"^\| (\d+) to (\d+) \|", text(paper), re.MULTILINE)]
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == 90


@papers
def test_a_lesson_links_only_to_notebooks_that_exist(paper: str) -> None:
    links = re.findall(r"\]\(/exhibits/([^)]+)\)", text(paper))
    assert links
    assert [link for link in links if not (paths.notebooks() / f"{link}.ipynb").exists()] == []


@papers
def test_a_lesson_types_no_measured_number(paper: str) -> None:
    """Decimal fractions belong to recorded runs, which a lesson links to."""
    assert re.findall(r"\d\.\d", text(paper)) == []


@papers
def test_a_quiz_has_five_questions_and_the_page_folds_each_answer(paper: str) -> None:
    questions = lessons.quiz(paper)
    assert len(questions) == 5
    folded = "\n".join(lessons.folded_quiz(paper))
    assert folded.count(":::{dropdown} Answer") == 5
    for question in questions:
        assert folded.index(question.question.strip()) < folded.index(question.answer)
        assert question.slip not in folded, "what wrong answers come from is for the instructor"
        assert question.slip in lessons.key(paper)


@papers
def test_an_answer_to_choose_is_whole(paper: str) -> None:
    """An unquoted comma in the file would split one into two, of which the second starts in the middle of a sentence."""
    assert [answer for question in lessons.quiz(paper) for answer in question.answers if answer[0].islower()] == []


@papers
def test_the_right_answer_is_not_always_the_same_letter(paper: str) -> None:
    assert len({question.right for question in lessons.quiz(paper)}) > 1


@papers
def test_the_plain_lesson_has_neither_directives_nor_links_into_the_book(paper: str) -> None:
    plain = lessons.plain(paper)
    assert "```{" not in plain
    assert "](/" not in plain
    assert "## What students get wrong" in plain


@papers
def test_a_class_runs_an_exhibit_that_takes_seeds_and_claims_effects(paper: str) -> None:
    from mtlrepro import parameters
    from mtlrepro.registered_claims import EffectClaim

    exhibit = classroom.exhibit_of(paper)
    assert "first_seed" in parameters.declared_in(exhibit.source())
    assert any(isinstance(claim, EffectClaim) and claim.primary for claim in exhibit.claims)

"""Random trees on random courses, against a model that works everything out from the log."""

from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.domain.any_course import AnyCourse
from tests.domain.course import chances
from tests.domain.random_trees import IDS

THOROUGH = settings.get_current_profile_name() == "thorough"
BASE = settings(deadline=None, suppress_health_check=list(HealthCheck))


def test_any_course_of_any_tree_is_as_the_model_says() -> None:
    course = BASE if THOROUGH else settings(BASE, max_examples=40, stateful_step_count=30)
    run_state_machine_as_test(AnyCourse, settings=course)


@settings(
    BASE,
    max_examples=100_000 if THOROUGH else 80,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(chances, st.integers(2, len(IDS)))
def test_so_are_long_ones_in_which_all_commands_have_an_even_chance(
    chance: Random, size: int
) -> None:
    course = AnyCourse()
    course.create(size, chance, 0)
    course.go_on(chance, 60)
    course.teardown()

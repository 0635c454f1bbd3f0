"""Instances of classes: what is kept of them, and which classes a process knows."""

# ruff: noqa: D101, D102 -- the things to be stored need no words
from __future__ import annotations

import dataclasses
import enum
import functools
import json
import subprocess
import sys
import textwrap
import threading
from collections import namedtuple
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from agentperf import Usage
from agentperf.codec import Codec, Undecodable, decode, encode, register, registered_for
from agentperf.errors import ConfigurationError, UncacheableValueError
from tests.unit.codec.strategies import Answer, Box, Level, Model, Pair, Point, same

T = TypeVar("T")


@dataclasses.dataclass
class Eager:
    """Does something when it is made."""

    seen: list[int]
    double: int = dataclasses.field(init=False)

    def __post_init__(self):
        self.seen.append(1)
        self.double = 2

    @functools.cached_property
    def computed(self) -> object:
        return object()


@dataclasses.dataclass
class Derived(Answer):
    more: int = 0


@dataclasses.dataclass
class Empty:
    pass


@dataclasses.dataclass
class ListToo(list):  # type: ignore[type-arg]
    x: int = 0


class PlainHeir(Answer):
    pass


class Slotted:
    __slots__ = ("hidden",)


@dataclasses.dataclass
class OnSlots(Slotted):
    x: int


@attrs.define(slots=False)
class Loose:
    x: int


class Tree(pydantic.BaseModel):
    name: str
    children: list[Tree] = []
    _secret: int = pydantic.PrivateAttr(default=1)

    @pydantic.field_validator("name")
    @classmethod
    def louder(cls, name: str) -> str:
        return name + "!"

    @functools.cached_property
    def size(self) -> int:
        return 1


class Leaf(Tree):
    colour: str = "green"


class Holder(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)
    tree: Tree
    anything: Any = None
    hidden: int = pydantic.Field(default=1, exclude=True, alias="Hidden")


class Names(pydantic.RootModel[list[str]]):
    pass


class Page(pydantic.BaseModel, Generic[T]):
    item: T


@pydantic.dataclasses.dataclass
class Checked:
    x: int


class Later(msgspec.Struct):
    x: int = 0
    y: Any = None


class Careful(msgspec.Struct):
    x: int

    def __post_init__(self):
        self.x += 1


Old = namedtuple("Old", "a b")  # noqa: PYI024 - this sort too


def completion() -> ChatCompletion:
    """Make an answer as a provider sends it: with fields and words that the SDK doesn't list."""
    return ChatCompletion.construct(
        id="c-1",
        created=1,
        model="m",
        object="chat.completion",
        vendor_cost=0.25,
        choices=[
            {
                "index": 0,
                "finish_reason": "out_of_patience",
                "message": {"role": "assistant", "content": "Hi", "reasoning": "short"},
            }
        ],
        usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    )


def of_slots() -> OnSlots:
    """Make one whose base has a slot that is filled."""
    made = OnSlots(1)
    made.hidden = (1,)
    return made


@pytest.mark.parametrize(
    "value",
    [
        Derived("a", (1,), 3),
        Empty(),
        Point(Point(1)),
        Box([Box(1)]),
        Loose(3),
        Old(1, (2,)),
        Pair(1, None),
        Later(1, (2,)),
        Careful(3),
        Checked(3),
        Usage(1, 2),
        [Answer(str(n), n) for n in range(9)],
        [Pair(n, (n,)) for n in range(9)],
        [Empty()] * 9,
        [Level.LOW] * 9,
        [[Point(n / 3) for n in range(40)], [Answer("a", 2**70)] * 5],
        {Point(1): Answer("x"), (Point(2),): {Point(3)}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_sorts_of_classes(value):
    """Every sort of class that can be stored comes back, alone or many in a list."""
    made = decode(encode(value))
    assert same(made, value)
    assert made == value


def test_nothing_of_the_class_runs():
    """What comes back is the state as it was; no initialiser or validator has a say."""
    eager = Eager([])
    eager.double = 7
    made = decode(encode(eager))
    assert (made.seen, made.double) == ([1], 7)
    tree = Tree(name="oak")
    assert decode(encode(tree)).name == tree.name == "oak!"


def test_what_else_an_instance_holds():
    """Attributes besides the fields are kept, results that can be computed again are not."""
    eager = Eager([])
    eager.extra = (1, 2)  # type: ignore[attr-defined]
    assert eager.computed
    made = decode(encode(eager))
    assert made.extra == (1, 2)
    assert "computed" not in vars(made)
    assert decode(encode(of_slots())).hidden == (1,)


def test_fields_without_a_value():
    """A field that was never set is not set afterwards either."""
    point, eager = object.__new__(Point), object.__new__(Eager)
    eager.seen = []
    assert not hasattr(decode(encode(point)), "x")
    assert vars(decode(encode(eager))) == {"seen": []}
    assert vars(decode(encode([eager] * 5))[4]) == {"seen": []}


def test_models_of_pydantic():
    """Nested subclasses, extra, private and excluded values, and what was set, all survive."""
    leaf = Leaf(name="leaf", colour="red")
    leaf._secret = 5
    assert leaf.size
    tree = Tree(name="tree", children=[leaf])
    holder = Holder(tree=tree, anything=(1, {2}), Hidden=9)
    made = decode(encode(holder))
    assert made == holder
    assert made.model_fields_set == holder.model_fields_set
    assert type(made.tree.children[0]) is Leaf
    assert made.tree.children[0]._secret == 5
    assert (made.hidden, made.anything) == (9, (1, {2}))
    assert decode(encode(Model(more=1))).more == 1


@pytest.mark.parametrize(
    "model", [Names(["a"]), Page[int](item=1), Page[list[str]](item=["a"]), Model()]
)
def test_special_models(model):
    """Root models and generic ones keep their class."""
    made = decode(encode(model))
    assert made == model
    assert type(made) is type(model)
    assert made.__getstate__() == model.__getstate__()


def test_models_that_nobody_validated():
    """A field that is missing stays missing, and one that is wrong stays as it is."""
    partial = Tree.model_construct(children=3)
    made = decode(encode(partial))
    assert made == partial
    assert not hasattr(made, "name")


def test_responses_of_openai():
    """A response is as it was, with words and fields that its own types don't know."""
    response = completion()
    response._request_id = "req-1"
    made = decode(encode(response))
    assert made == response
    assert made.model_dump() == response.model_dump()
    assert made.model_fields_set == response.model_fields_set
    assert made.choices[0].finish_reason == "out_of_patience"
    assert (made.vendor_cost, made.choices[0].message.reasoning) == (0.25, "short")
    assert made._request_id == "req-1"
    assert type(made.usage) is type(response.usage)


def test_an_embedding_of_openai():
    """Its vector takes nine bytes a number."""
    data = [{"index": 0, "object": "embedding", "embedding": [n / 7 for n in range(1536)]}]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    response = CreateEmbeddingResponse.construct(data=data, model="m", object="list", usage=usage)
    stored = encode(response)
    assert decode(stored) == response
    assert len(stored) < 1536 * 9 + 1000


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (ListToo(), "ListToo"),
        (PlainHeir("a"), "PlainHeir"),
        (Holder, "ModelMetaclass"),
    ],
)
def test_classes_that_are_refused(value, said):
    """A class that holds what its fields don't say can't be stored."""
    with pytest.raises(UncacheableValueError, match=said):
        encode(value)


# Which classes are known


def test_a_class_is_known_once_it_was_written_or_named():
    """A codec makes instances of what it has met, and of nothing else."""
    stored = Codec().encode([Answer("a"), Pair(1, 2)])
    with pytest.raises(Undecodable, match=r"strategies:Answer is unknown here"):
        Codec().decode(stored)
    with pytest.raises(Undecodable, match="Pair is unknown"):
        Codec(types=[Answer]).decode(stored)
    assert Codec(types=[Answer, Pair]).decode(stored) == [Answer("a"), Pair(1, 2)]
    codec = Codec()
    codec.encode([Pair(0, 0), Answer("b")])
    assert codec.decode(stored)[0] == Answer("a")


def test_a_registered_class_is_known_to_every_codec():
    """The decorator speaks for the process."""

    @register
    @dataclasses.dataclass
    class Own:
        x: int

    codec = Codec()
    stored = codec.encode(Own(1))
    assert Codec().decode(stored) == Own(1)
    assert Codec().register(Own) is Own


@pytest.mark.parametrize("thing", [3, int, object, threading.Lock, ListToo])
def test_what_can_not_be_registered(thing):
    """What couldn't be stored is refused at once, with what could."""
    with pytest.raises(ConfigurationError, match="dataclass"):
        Codec(types=[thing])


def versions() -> tuple[type, type]:
    """Make a class and what a deploy has made of it: a field more."""

    @dataclasses.dataclass
    class Made:
        x: int

    before = Made

    @dataclasses.dataclass
    class Made:  # type: ignore[no-redef]
        x: int
        y: int = 0

    return before, Made


def test_another_schema_is_a_miss():
    """Entries of a class that has changed are not read."""
    before, after = versions()
    with pytest.raises(Undecodable, match="has changed"):
        Codec(types=[after]).decode(Codec().encode(before(1)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            dataclasses.make_dataclass("C", [("x", int)]),
            dataclasses.make_dataclass("C", [("x", str)]),
        ),
        (dataclasses.make_dataclass("C", ["x", "y"]), dataclasses.make_dataclass("C", ["y", "x"])),
        (enum.Enum("C", "A B"), enum.Enum("C", "A B D")),
        (NamedTuple("C", [("x", int)]), NamedTuple("C", [("x", str)])),
        (pydantic.create_model("C", x=(int, 1)), pydantic.create_model("C", x=(float, 1))),
        (msgspec.defstruct("C", [("x", int)]), msgspec.defstruct("C", [("z", int)])),
        (attrs.make_class("C", ["x"]), attrs.make_class("C", ["x", "y"])),
        (dataclasses.make_dataclass("C", [("x", int)]), attrs.make_class("C", ["x"])),
    ],
)
def test_what_the_tag_tells_apart(one, other):
    """Names, types and order of fields, and the sort of class, are part of the schema."""
    value = one.A if issubclass(one, enum.Enum) else one(*range(len(_names(one))))
    with pytest.raises(Undecodable):
        Codec(types=[other]).decode(Codec().encode(value))


def _names(kind: Any) -> Any:
    if issubclass(kind, pydantic.BaseModel):
        return ()
    return getattr(kind, "__match_args__", ()) or kind._fields


def test_the_newest_of_two_classes_alike():
    """A cell of a notebook that is run again makes the same class anew; that one is read."""
    codec = Codec()
    first, second = (dataclasses.make_dataclass("Cell", ["x"]) for _ in range(2))
    stored = codec.encode(first(1))
    codec.register(second)
    assert type(codec.decode(stored)) is second


FRESH = """
import json, sys
from agentperf.codec import decode, Undecodable
{setup}
stored = [bytes.fromhex(text) for text in json.loads({stored!r})]
before = {{name.partition(".")[0] for name in sys.modules}}
for data in stored:
    try:
        print(type(decode(data)).__name__)
    except Undecodable:
        print("unknown")
after = {{name.partition(".")[0] for name in sys.modules}}
print(sorted((after - before) & {{"openai", "tests", "pydantic"}}))
"""


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("", ["unknown", "unknown", "Usage"]),
        ("import openai", ["ChatCompletion", "unknown", "Usage"]),
    ],
)
def test_a_fresh_process(setup, expected):
    """It knows Usage, and openai's responses once it has loaded openai; it imports nothing."""
    stored = json.dumps([encode(value).hex() for value in (completion(), Answer("a"), Usage(1))])
    code = textwrap.dedent(FRESH).format(setup=setup, stored=stored)
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ran.stdout.split("\n")[:4] == [*expected, "[]"]


# Annotations


class Nested(msgspec.Struct):
    answer: Answer
    tree: list[Tree]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, set()),
        (None, set()),
        (Answer | None, {Answer}),
        (list[dict[str, tuple[Point, ...]]], {Point}),
        (Nested, {Nested, Answer, Tree}),
        (Page[Answer], {Page[Answer], Answer}),
        (type("Broken", (), {"__annotations__": {"x": "Nowhere"}}), set()),
        (dataclasses.make_dataclass("Lost", [("x", "Nowhere")]), {"Lost"}),
        ("Answer", set()),
    ],
)
def test_classes_of_an_annotation(annotation, expected):
    """Generics, unions and the fields of what is found are looked into, also in circles."""
    found = {kind if kind.__name__ != "Lost" else "Lost" for kind in registered_for(annotation)}
    assert found == expected


def test_classes_of_a_response():
    """What a function is said to return is enough to read all of it."""
    stored = Codec().encode(completion())
    assert Codec(types=registered_for(ChatCompletion)).decode(stored) == completion()


def test_threads_learn_together():
    """Several threads that meet classes for the first time get the same as one alone."""
    codec, failed = Codec(), []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for number in range(50):
            value = [Answer(str(number)), Pair(Box(number), completion()), Usage(number)] * 3
            if codec.decode(codec.encode(value)) != value:
                failed.append(number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []

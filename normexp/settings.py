"""Every setting that can be typed: its kind (`kinds.py`), and words of help. Standard library only.

One table a command. The checks of a command line and of a record, `--help` and the README's table
come from here; the defaults are in `conf/`. The settings of a part of its own (`model.depth`,
`norm.layer.ghost_size`) are described in the part's YAML file and checked by the part.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from normexp.errors import UserError, suggestion
from normexp.kinds import (
    Choice,
    Flag,
    Folders,
    Kind,
    Name,
    Names,
    Number,
    Numbers,
    Part,
    Text,
    typed,
)


@dataclass(frozen=True)
class Setting:
    """A setting: its key as it is typed, what it may be, and what it does."""

    key: str
    kind: Kind
    words: str
    required: bool = True  # whether `conf/` must give it; a part's file may leave the others out


COUNT = Number(whole=True, least=1)
OPTIONAL_COUNT = Number(whole=True, least=1, optional=True)
SEED = Number(whole=True, least=0, below=2**32)
SHARE = Number(least=0, most=1)
POSITIVE = Number(least=0)
VALUE = Text(numbers=True, optional=True)

CACHE = Setting(
    "runtime.cache_dir", Text(), "folder of decoded images; NORMEXP_CACHE moves it and the kernels"
)
OUTPUTS = Setting(
    "runtime.outputs", Text(), "folder that holds runs, reports and studies; short: outputs="
)
DEVICE = Setting("runtime.device", Text(), "auto (a GPU where there is one), cpu, cuda, cuda:1")
# OpenMP ends the process where it cannot have as many as it is asked for.
THREADS = Setting(
    "runtime.threads",
    Number(whole=True, least=1, most=1024, optional=True),
    "CPU threads; null: one a core",
)
JOBS = Setting(
    "runtime.jobs",
    Number(whole=True, least=1, most=10_000, optional=True),
    "runs at a time; null: as many as cores, memory and GPUs allow",
)
SHIPPED = "reference"  # the study that means the runs that normexp ships
OWN_STUDY = Setting(
    "study",
    Name(optional=True, also="-", taken=SHIPPED),
    "name for runs that answer one question",
)
STUDY = Setting(
    "study", Name(optional=True, also="-"), "runs of one study; reference: those that normexp ships"
)
WITH_FILES = Setting(
    "study",
    Name(
        optional=True,
        also="-",
        taken=SHIPPED,
        instead="the runs that normexp ships are records without weights and curves; "
        f"normexp report study={SHIPPED} shows what they found",
    ),
    "runs of one study",
)
ONLY_SHIPPED = Setting(
    "study",
    Choice((SHIPPED,), optional=True),
    "reference: the runs that normexp ships; null: your own, or those where you have none",
)
PLACES = Setting(
    "runtime.outputs", Folders(), "folder that holds runs, or several: [a,b]; pages go to the first"
)
ASKED = (
    OWN_STUDY,
    Setting(
        "until",
        Choice(("decided",), optional=True),
        "decided: with -m, add seeds to the comparisons of norms that are open (from seed=0,1,2 "
        "where none is given); null: the seeds that are given",
        required=False,
    ),
    Setting("max_seeds", COUNT, "most seeds of a cell with until=decided", required=False),
    Setting(
        "skip_impossible",
        Flag(),
        "with -m, leave out the runs whose settings cannot work; false: start none then",
        required=False,
    ),
)
"""Why a run is asked for."""

RUN = (
    Setting("seed", SEED, "random seed of the weights and of the order of images; pairs runs"),
    Setting("batch_size", COUNT, "images of a training step"),
    Setting(
        "accumulate",
        COUNT,
        "batches of an optimizer step, which has accumulate × batch_size images; running "
        "statistics move once a batch",
    ),
    Setting(
        "epochs",
        Number(whole=True, least=0, optional=True),
        "passes over the training images; 0: evaluate without training",
    ),
    Setting(
        "steps",
        OPTIONAL_COUNT,
        "budget in optimizer steps; where given, it replaces epochs. The last has the learning "
        "rate 0, so steps=1 trains nothing but running statistics",
    ),
    Setting("label_smoothing", Number(least=0, below=1), "share of the label spread over all"),
    Setting(
        "precision",
        Choice(("auto", "fp32", "bf16", "tf32")),
        "auto: bf16 where the hardware has it; tf32: NVIDIA GPUs only",
    ),
    Setting("kernels", Choice(("auto", "none")), "compiled layers on the CPU; none: torch's"),
    Setting("data.name", Name(), "what folders and tables call it"),
    Setting("data.source", Part(), "function that returns the images"),
    Setting("data.root", Text(optional=True), "folder of the images", required=False),
    Setting("data.convert", Flag(), "make images RGB; false: refuse others", required=False),
    Setting(
        "data.resize",
        OPTIONAL_COUNT,
        "pixels to which the shorter side is scaled, and the middle cut out; null: as they are",
        required=False,
    ),
    Setting("data.limit", OPTIONAL_COUNT, "use so many training and validation images, and test"),
    Setting("data.val_fraction", Number(above=0, below=1), "share held out for validation"),
    Setting(
        "data.standardise",
        Choice(("dataset", "image")),
        "mean 0 and variance 1 a channel over the data set, or over each image",
    ),
    Setting(
        "data.mean",
        Numbers(SHARE, 3, optional=True),
        "of each channel, that images in [0, 1] are standardised by; null: the data set's",
        required=False,
    ),
    Setting(
        "data.std",
        Numbers(Number(least=1e-4, most=1e4), 3, optional=True),
        "standard deviation of each channel, likewise",
        required=False,
    ),
    Setting("data.crop", Number(whole=True, least=0), "pixels of reflect padding, random crop"),
    Setting("data.flip", Flag(), "mirror half of the training images"),
    Setting("data.red_scale", Number(least=0, optional=True), "factor of the red channel"),
    Setting(
        "data.gain_spread",
        Number(least=0, most=10, optional=True),
        "standard deviation of the logarithm of each image's factor",
    ),
    Setting("model.name", Name(), "what folders and tables call it"),
    Setting("model.network", Part(), "class of the network"),
    Setting(
        "model.padding_mode",
        Choice(("zeros", "reflect", "replicate")),
        "what stands outside a map where a convolution looks over its border; zeros: as it is made",
    ),
    Setting(
        "model.weights",
        Text(optional=True),
        "file of a state dict, or torchvision's name of one, loaded before norms are replaced",
        required=False,
    ),
    Setting(
        "model.recalibrate",
        OPTIONAL_COUNT,
        "training batches over which running statistics are re-estimated before training",
        required=False,
    ),
    Setting(
        "model.freeze",
        Names(optional=True),
        "patterns of parameters that do not learn, such as [layer1.*,conv1.*]",
        required=False,
    ),
    Setting("norm.name", Name(), "what folders and tables call it"),
    Setting("norm.layer", Part(), "norm layer, called with the number of channels"),
    Setting("norm.at", Part(optional=True), "other norm layers at some places", required=False),
    Setting("norm.conv", Part(optional=True), "change of every convolution", required=False),
    Setting("norm.activation", Part(optional=True), "in the place of ReLU", required=False),
    Setting("norm.init", Part(optional=True), "first weights of the network", required=False),
    Setting("contrast.name", Name(), "what folders and tables call it"),
    Setting("contrast.augmentation", Part(), "contrast augmentation, drawn per image"),
    Setting("optimizer.name", Name(), "what folders and tables call it"),
    Setting(
        "optimizer.lr",
        Number(above=0),
        "learning rate where a step has 128 images; a run's is "
        "lr × (images of a step / 128) ^ batch_exponent; tuned: the choice of normexp tune",
    ),
    Setting(
        "optimizer.batch_exponent",
        Number(least=0, most=10),
        "how the learning rate follows the batch: 1: linearly, 0.5: by the square root, 0: not",
    ),
    Setting("optimizer.weight_decay", POSITIVE, "on weights of convolutions and linear layers"),
    Setting("optimizer.warmup", Number(least=0, below=1), "share of the training of rising rate"),
    Setting("optimizer.algorithm", Part(), "class of the optimizer"),
)
"""What can change the result of a run."""
PARTS = ("data", "model", "norm", "contrast", "optimizer")
"""Groups of them; each has a folder in `conf/`, whose files give the values."""

RUNTIME = (
    OUTPUTS,
    CACHE,
    DEVICE,
    THREADS,
    JOBS,
    Setting("runtime.log_every", COUNT, "steps between two points of a training curve"),
    Setting("runtime.checkpoint_seconds", Number(above=0), "time between two checkpoints"),
    Setting(
        "runtime.reference",
        Flag(),
        "a run that normexp ships counts as finished; false: it is trained",
    ),
)
"""What cannot change the result of a run."""

MARGIN = Setting("margin", Number(least=0, most=100), "points of accuracy; less does not matter")
LEVEL = Setting("level", Number(least=0.5, most=0.999), "of intervals")
COMPARED = (
    Setting("by", Names(), "what is compared and over what: one or two settings"),
    Setting("reference", VALUE, "what the others are compared with; null: batch"),
    MARGIN,
    LEVEL,
)
OF_CSV = (
    Setting("csv", Text(optional=True), "a file of anybody's numbers, in the place of runs"),
    Setting("compare", VALUE, "its column of what is compared"),
    Setting("seed", VALUE, "its column of seeds, by which rows are paired"),
    Setting("metric", VALUE, "its column of numbers"),
)
LIST_OF_COUNTS, LIST_OF_LEVELS = Numbers(COUNT), Numbers(POSITIVE)
EVALUATE = (
    Setting("run", Text(optional=True), "a run's folder or name; * and ? for several"),
    WITH_FILES,
    Setting("trust", Flag(), "call parts of others that a run's record names"),
    Setting("seed", SEED, "of the draws of contrast, gain and other images in the batch"),
    Setting("images", COUNT, "of the test set, at most"),
    Setting("contrast.batch_size", COUNT, "of test-batch statistics"),
    Setting("contrast.curve", LIST_OF_LEVELS, "shares of contrast, the same for all images"),
    Setting("contrast.per_image", LIST_OF_LEVELS, "drawn for each image between this and 1"),
    Setting("contrast.gain", LIST_OF_LEVELS, "drawn for each channel of each image"),
    Setting("contrast.gamma", LIST_OF_LEVELS, "exponents: the control"),
    Setting("statistics.batch_sizes", LIST_OF_COUNTS, "of test batches"),
    Setting("statistics.alphas", Numbers(SHARE), "weight of one image's statistics"),
    Setting("statistics.precise_batch_sizes", LIST_OF_COUNTS, "of training batches"),
    Setting("statistics.precise_images", COUNT, "that precise statistics are estimated over"),
    Setting("noise.batch_sizes", LIST_OF_COUNTS, "of test batches"),
    Setting("noise.images", COUNT, "whose spread is measured"),
    Setting("noise.draws", Number(whole=True, least=2), "of the other images in the batch"),
    Setting("cost.steps", COUNT, "training steps that are timed"),
    OUTPUTS,
    DEVICE,
    THREADS,
    JOBS,
)
COMMANDS: Mapping[str, tuple[Setting, ...]] = {
    "train": (*ASKED, *RUN, *RUNTIME),
    "evaluate": EVALUATE,
    "recalibrate": (
        Setting("run", Text(optional=True), "a run's folder or name"),
        Setting("trust", Flag(), "call parts of others that a run's record names"),
        Setting("batches", COUNT, "of training images, over which statistics are estimated"),
        Setting("images", COUNT, "of the test set, at most, on which the accuracy is compared"),
        Setting("to", Text(optional=True), "file that is written; null: beside the weights"),
        OUTPUTS,
        DEVICE,
        THREADS,
        JOBS,
    ),
    "probe": (
        Setting("norm", Text(), "norms to measure; all where none is named"),
        Setting("seed", SEED, "of the inputs"),
        Setting("batch_size", Number(whole=True, least=2), "images of an input"),
        OUTPUTS,
    ),
    "claims": (
        Setting("claim", Names(), "all, or names such as c05"),
        Setting("form", Choice(("small", "full")), "of the studies: two cores, or a GPU"),
        Setting("measure", Flag(), "carry out what needs no training before judging"),
        ONLY_SHIPPED,
        PLACES,
    ),
    "verify": (
        Setting("rows", COUNT, "how many of the runs that normexp ships, drawn by chance"),
        Setting("row", Text(optional=True), "or the name of one"),
        CACHE,
        DEVICE,
        THREADS,
    ),
    "report": (STUDY, *COMPARED, PLACES, *OF_CSV),
    "explore": (
        STUDY,
        Setting("beside", Flag(), "show the runs that normexp ships beside your own"),
        MARGIN,
        LEVEL,
        Setting("open", Flag(), "show the page in a browser, where there is a screen"),
        PLACES,
    ),
    "tensorboard": (
        WITH_FILES,
        *COMPARED,
        Setting("runs", Flag(), "show all runs, not the cells only"),
        Setting("port", Number(whole=True, least=1, below=65536, optional=True), "of the server"),
        Setting("host", Text(), "address that the server listens at; 0.0.0.0: all"),
        OUTPUTS,
    ),
    "advise": (
        Setting("batch_size", COUNT, "of the training that is planned"),
        Setting("contrast", Choice(("steady", "varies")), "of the images to classify"),
        Setting("margin", Number(least=0), "points of accuracy; less does not matter"),
        ONLY_SHIPPED,
        PLACES,
    ),
}
"""The settings of each command."""

OF_MANY_PARTS: Mapping[str, str] = {
    "eps": "added to the variance, so that no division is by 0",
    "layer.momentum": "weight of a new batch in the running statistics",
    "num_groups": "groups of channels that share statistics; it divides the channels",
    "roles": "where: stem, first or last norm of a block, shortcut, block_end",
    "stages": "in which stages; 0 is the stem, -1 the last",
    "depth": "from where to where: 0 is the first norm of the network, 1 the last",
}
"""Words for settings that many parts have, by the end of the key."""


def checked(values: Mapping[str, Any], table: Iterable[Setting]) -> dict[str, Any]:
    """Return nested `values` with those of the `table` in their types; others stay as they are.

    Raises UserError where one is missing, or is not of its kind, with its value.
    """
    found: dict[str, Any] = {k: {**v} if isinstance(v, Mapping) else v for k, v in values.items()}
    for setting in table:
        group, _, name = setting.key.rpartition(".")
        inner = found.get(group) if group else found
        if not isinstance(inner, dict):
            raise UserError(f"{group}={typed(inner)}: a choice or settings are needed")
        if name not in inner:
            if setting.required:
                raise UserError(f"{setting.key} is not given; add {setting.key}=...")
            continue
        try:
            inner[name] = setting.kind.check(inner[name])
        except ValueError as error:
            raise UserError(f"{setting.key}={typed(inner[name])}: {error}") from error
    return found


def check_keys(values: Mapping[str, object], known: Iterable[str], prefix: str = "") -> None:
    """Raise UserError where a key of `values`, typed behind `prefix`, is not `known`."""
    known = list(known)
    for key in values:
        if key not in known:
            hint = suggestion(str(key), known)
            raise UserError(f"there is no setting '{prefix}{key}'; {hint}")


def keys_of(table: Iterable[Setting], group: str = "") -> list[str]:
    """Return the keys below `group`, or at the top: the next word of each."""
    prefix = f"{group}." if group else ""
    inside = [s.key.removeprefix(prefix) for s in table if s.key.startswith(prefix)]
    return list(dict.fromkeys(key.split(".")[0] for key in inside))

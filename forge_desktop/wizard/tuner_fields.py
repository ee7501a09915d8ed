"""Fields of the choice of weights: greyed, with the reason, where the chosen method does not use them."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Slot

from engine.contract.optimizers import OPTIMIZERS
from engine.contract.options import Option, described
from engine.contract.tuners import TUNERS, options_of
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.language import tr, word
from forge_desktop.wizard.fields import SettingField, written


def takes(draft: DraftModel, name: str) -> bool:
    """Whether the chosen method uses this setting of `tuner`; unknown methods are left to the checks."""
    tuner = TUNERS.get(str(draft.get("tuner.kind")))
    return tuner is None or name in tuner.settings


def method_field(draft: DraftModel, path: str) -> SettingField:
    """The method, with what it does."""
    return SettingField(draft, path, lambda: word("method", str(draft.get(path))))


class TunerField(SettingField):
    """A setting that only some methods use."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        super().__init__(draft, path, self._about)
        draft.changed.connect(self._follow)
        self._follow()

    def _about(self) -> str:
        if takes(self._draft, self.path.rpartition(".")[2]):
            return ""
        return tr("Not used by this method.")

    @Slot()
    def _follow(self, *_news: object) -> None:
        used = takes(self._draft, self.path.rpartition(".")[2])
        if used != self.isEnabled():
            self.setEnabled(used)
            self._show_problems()


class AdapterField(TunerField):
    """One of the many settings of adapters: not shown where the method does not use it and nobody has touched it."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        super().__init__(draft, path)
        draft.checked.connect(self.left_out_changed)

    @property
    def is_left_out(self) -> bool:
        """See `SettingField`."""
        return not is_of_use(self._draft, self.path)

    @Slot()
    def _follow(self, *_news: object) -> None:
        super()._follow()
        self.left_out_changed.emit()


class QuantisationField(SettingField):
    """In how many bits the frozen weights are held; not shown where the method cannot do with fewer."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        super().__init__(draft, path)
        draft.changed.connect(self._follow)

    @property
    def is_left_out(self) -> bool:
        """See `SettingField`."""
        method = TUNERS.get(str(self._draft.get("tuner.kind")))
        useless = method is not None and not method.quantised
        return useless and self._draft.get(self.path) == "none" and not self._draft.problems_of(self.path)

    @Slot()
    def _follow(self, *_news: object) -> None:
        self.left_out_changed.emit()


def is_of_use(draft: DraftModel, path: str) -> bool:
    """Whether the method uses a setting, or a person must see that it does not: it was changed, or is wrong."""
    if takes(draft, path.rpartition(".")[2]) or not path.startswith("tuner."):
        return path != "tuner.options" or bool(options_of(str(draft.get("tuner.kind")))) or bool(draft.get(path))
    return draft.get(path) != draft.default(path) or bool(draft.problems_of(path))


def listed(known: Mapping[str, Option]) -> str:
    """Options and what they usually are, in a line."""
    said = []
    for name, option in known.items():
        usual = written(option["default"])
        said.append(f"{name}={usual} ({described(option)})" if usual else f"{name} ({described(option)})")
    return tr(", ").join(said)


class OptionsField(AdapterField):
    """More options of a method of peft's, as `name=value, name=value`; says which there are."""

    def _about(self) -> str:
        known = options_of(str(self._draft.get("tuner.kind")))
        if not known:
            return tr("This method has no more options.")
        return tr("Options and their usual values: {options}.", options=listed(known))


class OptimizerOptionsField(SettingField):
    """The same for the optimiser."""

    def __init__(self, draft: DraftModel, path: str) -> None:
        super().__init__(draft, path, self._about)
        draft.changed.connect(self._follow)

    def _about(self) -> str:
        chosen = OPTIMIZERS.get(str(self._draft.get("training.optimizer")))
        if chosen is None or not chosen.options:
            return tr("This method has no more options.")
        return tr("Options and their usual values: {options}.", options=listed(chosen.options))

    @Slot(str)
    def _follow(self, path: str) -> None:
        if path == "training.optimizer":
            self._show_problems()

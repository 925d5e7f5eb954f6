import pytest

from layerwise.finetuning import FinetuneSettings


def test_defaults_are_the_papers():
    settings = FinetuneSettings()
    stated = (settings.optimiser, settings.momentum, settings.nesterov, settings.batch_size, settings.learning_rate)
    assert stated == ("sgd", 0.9, True, 32, 1e-3)
    schedule = (settings.schedule, settings.gamma, settings.step_epochs, settings.max_epochs, settings.patience)
    assert schedule == ("step", 0.1, 10, 100, 10)
    assert (settings.crop, settings.flip) == ("resize-crop", True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"optimiser": "adam"}, "optimiser of fine-tuning is 'adam': it must be 'sgd' or 'adamw'"),
        ({"precision": "fp16"}, "precision of fine-tuning is 'fp16': it must be 'tf32' or 'bf16' or 'float32'"),
        ({"learning_rate": 0.0}, "learning_rate of fine-tuning is 0.0: it must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate of fine-tuning is nan"),
        ({"momentum": 0.0}, "nesterov of fine-tuning is True: it must be false where the momentum is 0"),
        ({"batch_size": 1}, "batch_size of fine-tuning is 1: it must be 2 or more"),
        ({"accumulate": 64}, "accumulate of fine-tuning is 64: it must be from 1 to the batch size"),
        ({"scale": (1.0, 0.1)}, "scale of fine-tuning"),
        ({"patience": 0}, "patience of fine-tuning is 0"),
        ({"seed": -1}, "seed of fine-tuning is -1"),
        ({"hold_out": 1.0}, "hold_out of fine-tuning is 1.0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=message) as raised:
        FinetuneSettings(**given)
    assert "\n" not in str(raised.value)

"""A training run that is watched, written down, interrupted and gone on with: a digit classifier, on NumPy alone.

python examples/training.py
"""

import tempfile
from pathlib import Path

import zkynet as zk
from zkynet import data, io, models, op, optim, train
from zkynet.train import callbacks, metrics

EPOCHS = 8


def loss(model, images, labels):
    """The mean cross-entropy of a batch."""
    return op.softmax_cross_entropy(model(images), labels)


def batches_and_test():
    """The digits in batches, and a fifth of them that training never sees."""
    images, labels = data.load_digits()  # (1797, 64) float32 in 0 .. 1, and 0 to 9
    here, there = data.split(len(labels), (0.8, 0.2), labels=labels)
    return data.Batches((images[here], labels[here]), 32, seed=0), (images[there], labels[there])


def digits_trainer(folder, *more):
    """Everything that a run is made of. A run that is resumed is made of the same again."""
    model = models.fcn([64, 64, 10], seed=0)
    optimizer = optim.Adam(optim.schedules.Cosine(3e-3, steps=45 * EPOCHS))  # 45 batches an epoch
    return train.Trainer(
        model,
        loss,
        optimizer,
        metrics={"accuracy": metrics.accuracy},  # on the validation data; any f(outputs, targets) will do
        folder=folder,
        checkpoint_every=20,  # steps; the last three checkpoints stay
        callbacks=[
            callbacks.Progress(),  # a line an epoch; in a terminal a bar as well
            callbacks.JsonLog(),  # log.jsonl
            callbacks.TensorBoard(histograms=True),  # tensorboard --logdir FOLDER
            callbacks.LiveCurves("file"),  # curves.svg, drawn anew after every epoch
            callbacks.NaNGuard(),  # names the operator that made a NaN
            callbacks.EarlyStopping("accuracy", patience=5),
            callbacks.KeepBest("accuracy"),  # model-best.safetensors, and back into the model at the end
            *more,
        ],
    )


def main() -> None:
    """Train for a while, stop in the middle of an epoch, go on, and look at what is there."""
    folder = Path(tempfile.mkdtemp(prefix="digits-run-", dir="."))  # where you are
    batches, test = batches_and_test()

    print("Until step 110, where somebody pulls the plug:")
    # A callback of one's own is a class with the hooks that it needs, or plain functions. Ctrl-C does the same as this,
    # and after a kill there is still the newest checkpoint.
    plug = train.On(step_end=lambda run: run.stop("somebody pulled the plug") if run.step == 110 else None)
    digits_trainer(folder, plug).fit(batches, test, EPOCHS)

    print("\nAnother process, say, goes on from step 110:")
    batches, test = batches_and_test()
    trainer = digits_trainer(folder)
    history = trainer.fit(batches, test, EPOCHS, resume=True)

    print("\nThe same run without an interruption:")
    batches, test = batches_and_test()
    other = digits_trainer(folder / "uninterrupted")
    other.callbacks[0].quiet = True
    expected = other.fit(batches, test, EPOCHS)
    same = [a["loss"] == b["loss"] and a["accuracy"] == b["accuracy"] for a, b in zip(history, expected, strict=True)]
    print(f"its losses and accuracies are the same, to the bit: {all(same)}")

    # The best weights, in a model of their own; reading weights never runs anything that is in the file.
    model = models.fcn([64, 64, 10], seed=1)
    io.load_weights(folder / "model-best.safetensors", model)
    with zk.no_grad():
        outputs = model(test[0]).value
    best = max(figures["accuracy"] for figures in history)
    print(f"\nThe best weights get {metrics.accuracy(outputs, test[1]):.4f}, the best epoch had {best:.4f}.")
    print("How often each digit (rows) was taken for which (columns):")
    print(metrics.confusion_matrix(outputs, test[1]))

    pictures(folder, history, outputs, test)
    print(f"\n{folder} holds: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def pictures(folder, history, outputs, test) -> None:
    """Plots of the run, where matplotlib is installed; curves.svg needed none."""
    from zkynet import visual

    try:
        visual.plot_curves(history, folder / "curves.png")
        visual.plot_misclassified(test[0], outputs, test[1], folder / "mistakes.png", shape=(8, 8))
    except ImportError as error:
        print(f"\nNo plots: {error}")


if __name__ == "__main__":
    main()

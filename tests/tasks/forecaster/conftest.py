"""Forecasters that several files of tests use."""

import pytest
from small_forecasters import TINY, split, weeks

import recurra


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The files train.csv and test.csv."""
    folder = tmp_path_factory.mktemp("weeks")
    train, test = split(weeks(), 21)
    train.write_csv(folder / "train.csv")
    test.write_csv(folder / "test.csv")
    return folder


def trained(name, tmp_path_factory, files, **options):
    out = tmp_path_factory.mktemp(name) / "model"
    recurra.train("forecaster", files / "train.csv", out=out, **{**TINY, **options})
    return out


@pytest.fixture(scope="session")
def direct(tmp_path_factory, files):
    """The folder of a direct forecaster of two members with vectors of series."""
    return trained("direct", tmp_path_factory, files, members=2, series_embedding=2, num_layers=2)


@pytest.fixture(scope="session")
def autoregressive(tmp_path_factory, files):
    """The folder of an autoregressive forecaster with Student's t distribution."""
    return trained("paths", tmp_path_factory, files, head="autoregressive", distribution="student")

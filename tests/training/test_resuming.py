from tasks.train import train


def test_x(workspace):
    train("shapes-5i", "mask", "prosam", 0)

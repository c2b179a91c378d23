"""A page on this machine that shows what a model does: draw on a reference, drop targets, see masks.

    samples     what the page starts with: photos/, or generated images for a model of shapes
    images      the images that were dropped, in a temporary folder
    questions   the page's requests: a drawing, a target, a threshold
    answers     the model's answers: masks, presence, uncertainty, and a zip of all results
    app         the addresses; `prosam/web/` has what it shares with `prosam api`
    page/       HTML, CSS and JavaScript; the page loads nothing from other servers

This package needs the extra `demo`: Starlette and uvicorn. An image is sent as the body of a request, so that no form
has to be parsed.
"""

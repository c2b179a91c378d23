"""A page on this machine that shows what a model does: draw on a reference, drop targets, see masks.

    samples     generated images that the page starts with
    images      the images that were dropped, in a temporary folder
    questions   what the page sends: a drawing, a target, a threshold
    answers     what the model says to it: masks, presence, uncertainty, and a zip of all
    own_page    who may ask: this page and no other
    app         the addresses
    server      a port, the app on it, and a browser
    page/       HTML, CSS and JavaScript; nothing in it comes from another server

What is here needs the extra `demo`: Starlette and uvicorn. An image is sent as the body of a request, so no form has to
be parsed.
"""

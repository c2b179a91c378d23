"""What the servers of ProSAM share: the page of `prosam demo` and the service of `prosam api`.

    server        a port, and an app on it until Ctrl-C
    patience      slow clients are sent away
    bodies        how large requests may be, one by one and together
    refusals      errors as JSON of one line
    own_page      refuses requests of other pages in the same browser; headers that forbid a page to load from elsewhere
    sent_images   images that were sent, checked before they are decoded

This package needs the extra `demo`: Starlette and uvicorn.
"""

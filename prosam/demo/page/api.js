// The page's requests to its server. An error's message is one line for the user.

async function asked(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("prosam demo does not answer; is it still running?");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Error(told.error ?? `prosam demo failed (status ${response.status}); see its terminal for the reason`);
}

const posted = (path, content) =>
  asked(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content) });

export const start = async () => (await asked("api/start")).json();

/** The samples with a number, from 0. */
export const samples = async (number) => (await asked(`api/samples/${number}`)).json();

export const segment = async (question) => (await posted("api/segment", question)).json();

export const zip = async (order) => (await posted("api/download", order)).blob();

/** Send an image file; the answer has its id, name, height and width. */
export async function send(file, mostBytes) {
  if (file.size > mostBytes) throw new Error(`${file.name}: has more than ${mostBytes / 2 ** 20} MiB; scale it down`);
  const response = await asked(`api/images?name=${encodeURIComponent(file.name)}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: file,
  });
  return response.json();
}

/** A loaded image element of a URL. */
export async function picture(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

/** The image with an id, as the model sees it. */
export const pictureOf = (id) => picture(`api/images/${id}`);

const place = document.getElementById("terminal");

if (place) {
  const said = document.createElement("p");
  said.textContent = "This server has no terminal.";
  const back = document.createElement("a");
  back.href = "/ui/";
  back.textContent = "The pages";
  place.append(said, back);
}

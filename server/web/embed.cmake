# cmake -DFILES=a.js=/source/a.js;docs/b.md=/docs/b.md -DOUT=web_files.cc -P embed.cmake
set(arrays)
set(table)
foreach(entry ${FILES})
  string(REGEX REPLACE "=.*" "" file "${entry}")
  string(REGEX REPLACE "^[^=]*=" "" source "${entry}")
  file(READ ${source} bytes HEX)
  file(SHA256 ${source} digest)
  string(SUBSTRING ${digest} 0 16 digest)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(MAKE_C_IDENTIFIER ${file} name)
  string(REGEX REPLACE ".*\\." "" extension ${file})
  if(extension STREQUAL "html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL "js")
    set(type "text/javascript; charset=utf-8")
  elseif(extension STREQUAL "json")
    set(type "application/json")
  elseif(extension STREQUAL "png")
    set(type "image/png")
  elseif(extension STREQUAL "md")  # browsers show this and download text/markdown
    set(type "text/plain; charset=utf-8")
  else()
    set(type "text/css; charset=utf-8")
  endif()
  set(path "/${file}")
  if(file STREQUAL "index.html")
    set(path "/")
  endif()
  string(APPEND arrays "const unsigned char ${name}[] = {${bytes}};\n")
  string(APPEND table "    {\"${path}\", \"${type}\", text(${name}), \"${digest}\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"server/web/web_files.h\"

namespace sf::server {
namespace {

${arrays}
template <size_t N>
std::string_view text(const unsigned char (&bytes)[N]) {
  return {reinterpret_cast<const char*>(bytes), N};
}

const WebFile kFiles[] = {
${table}};

}  // namespace

std::span<const WebFile> web_files() { return kFiles; }

}  // namespace sf::server
")

# Writes OUT, a source file with the text of every file of FILES (NAME=PATH): the presets are in the binary.
set(rows "")
foreach(entry IN LISTS FILES)
  string(REGEX MATCH "^([^=]+)=(.+)$" matched "${entry}")
  file(READ "${CMAKE_MATCH_2}" text)
  string(APPEND rows "      {\"${CMAKE_MATCH_1}\", R\"json(${text})json\"},\n")
endforeach()
file(WRITE "${OUT}" "#include \"engine/model/preset_files.h\"

namespace sf {

const std::vector<PresetFile>& preset_files() {
  static const std::vector<PresetFile> files = {
${rows}  };
  return files;
}

}  // namespace sf
")

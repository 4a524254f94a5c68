// The table of what each role does with each frame, here and in docs/PROTOCOL.md.
#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

#include "core/node/disposition.h"

namespace vsync::core {
namespace {

constexpr Role kRoles[] = {Role::out, Role::joining, Role::member, Role::wedged, Role::left, Role::witness};

template <std::size_t... I>
std::vector<Frame> one_of_each(std::index_sequence<I...>) {
  return {Frame(std::in_place_index<I>)...};
}

/// As in the document: a row for each frame, a column for each role, with the cells of a column aligned.
std::string markdown() {
  std::ostringstream text;
  const auto cell = [&](std::string_view word, std::size_t width) {
    text << "| " << word << std::string(width - word.size() + 1, ' ');
  };
  const std::size_t name = std::string_view("PREVOTE_REPLY").size();
  const std::size_t word = std::string_view("joining").size();
  cell("frame", name);
  for (const Role role : kRoles) {
    cell(to_string(role), word);
  }
  text << "|\n";
  cell(std::string(name, '-'), name);
  for (std::size_t i = 0; i < std::size(kRoles); ++i) {
    cell(std::string(word, '-'), word);
  }
  text << "|\n";
  for (const auto& frame : one_of_each(std::make_index_sequence<std::variant_size_v<Frame>>())) {
    cell(frame_name(frame), name);
    for (const Role role : kRoles) {
      cell(to_string(disposition(role, frame.index())), word);
    }
    text << "|\n";
  }
  return text.str();
}

TEST_CASE("docs/PROTOCOL.md shows the disposition table as it is") {
  std::ifstream file(VSYNC_SOURCE_DIR "/docs/PROTOCOL.md");
  REQUIRE(file);
  std::stringstream document;
  document << file.rdbuf();
  INFO("The document must contain:\n" << markdown());
  CHECK(document.str().find(markdown()) != std::string::npos);
}

TEST_CASE("the table is complete, and says what the protocol demands") {
  const auto at = [](Role role, const Frame& frame) { return disposition(role, frame.index()); };
  for (const Role role : kRoles) {
    CHECK(at(role, Hello{}) == Disposition::refuse);
    CHECK(at(role, Goodbye{}) == Disposition::refuse);
    const bool member = role == Role::member;
    CHECK((at(role, Data{}) == Disposition::handle) == member);  // V4: a wedged member takes neither
    CHECK((at(role, Ack{}) == Disposition::handle) == member);
    CHECK((at(role, AckAggregate{}) == Disposition::handle) == member);
    const bool wedged = role == Role::wedged;
    CHECK((at(role, Flush{}) == Disposition::handle) == wedged);
    CHECK((at(role, Forward{}) == Disposition::handle) == wedged);
    CHECK((at(role, Table{}) == Disposition::handle) == (role == Role::joining));
    CHECK((at(role, Prepare{}) == Disposition::handle) == (role != Role::out));  // who left answers (J8), a restarted voter votes
  }
  CHECK(at(Role::joining, LinkUp{}) == Disposition::keep);
}

}  // namespace
}  // namespace vsync::core

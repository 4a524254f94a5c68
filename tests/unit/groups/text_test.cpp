#include "core/groups/text.h"

#include <catch2/catch.hpp>
#include <string>

using vsync::valid_utf8;
using vsync::core::valid_name;

TEST_CASE("text: UTF-8 and names") {
  struct Row {
    std::string text;
    bool utf8, name;
  };
  const auto row = GENERATE(values<Row>({
      {"", true, true},
      {"orders", true, true},
      {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", true, true},
      {std::string(255, 'x'), true, true},
      {std::string(256, 'x'), true, false},
      {"tab\t", true, false},
      {std::string("nul\0", 4), true, false},
      {"del\x7f", true, false},
      {"c1\xc2\x9f", true, false},
      {"\xc2\xa0", true, true},
      {"\xc0\x80", false, false},          // overlong
      {"\xe0\x9f\xbf", false, false},      // overlong
      {"\xf0\x8f\xbf\xbf", false, false},  // overlong
      {"\xed\xa0\x80", false, false},      // surrogate
      {"\xf4\x90\x80\x80", false, false},  // above U+10FFFF
      {"\xf8\x88\x80\x80\x80", false, false},
      {"\x80", false, false},
      {"\xc3", false, false},
      {"\xe2\x82", false, false},
      {"\xc3\x28", false, false},
  }));
  CAPTURE(row.text);
  CHECK(valid_utf8(row.text) == row.utf8);
  CHECK(valid_name(row.text) == row.name);
}

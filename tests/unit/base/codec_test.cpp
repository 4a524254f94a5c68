#include "base/codec.h"

#include <catch2/catch.hpp>
#include <limits>

using vsync::Reader;
using vsync::Writer;

TEST_CASE("codec: what is written is read again") {
  const auto value = GENERATE(std::uint64_t{0}, 1, 0x80, 0xff, 0x100, 0xffff'ffff, std::numeric_limits<std::uint64_t>::max());
  Writer writer;
  writer.put(static_cast<std::uint8_t>(value)).put(static_cast<std::uint16_t>(value));
  writer.put(static_cast<std::uint32_t>(value)).put(value).put(std::string_view("text")).raw("raw");
  const auto bytes = writer.take();
  CHECK(writer.size() == 0);

  Reader reader(bytes);
  CHECK(reader.get<std::uint8_t>() == static_cast<std::uint8_t>(value));
  CHECK(reader.value<std::uint16_t>() == static_cast<std::uint16_t>(value));
  CHECK(reader.get<std::uint32_t>() == static_cast<std::uint32_t>(value));
  CHECK(reader.get<std::uint64_t>() == value);
  CHECK(reader.text(4) == "text");
  CHECK_FALSE(reader.done());
  CHECK(reader.raw(3) == "raw");
  CHECK(reader.done());
}

TEST_CASE("codec: least significant byte first") {
  Writer writer;
  writer.put(std::uint32_t{0x04030201});
  CHECK(writer.take() == "\x01\x02\x03\x04");
}

TEST_CASE("codec: every read can fail, and a failure stays") {
  Writer writer;
  writer.put(std::string_view("name")).put(std::uint64_t{7});
  const auto bytes = writer.take();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Reader reader(std::string_view(bytes).substr(0, size));
    const auto text = reader.text(255);
    CHECK(text.has_value() == (size >= 8));
    CHECK_FALSE(reader.get<std::uint64_t>());
    CHECK_FALSE(reader.ok());
    CHECK_FALSE(reader.done());
    CHECK_FALSE(reader.raw(0));
    CHECK(reader.value<std::uint8_t>() == 0);
  }
}

TEST_CASE("codec: lengths and counts are bounded before they are believed") {
  const auto written = [](std::uint32_t number) {
    Writer writer;
    writer.put(number).raw("0123456789");
    return writer.take();
  };
  struct Row {
    std::uint32_t number;
    std::size_t limit;
    bool text, count;  // accepted as a length, as a number of elements of 2 bytes
  };
  const auto row = GENERATE(Row{0, 0, true, true}, Row{5, 5, true, true}, Row{6, 100, true, false}, Row{5, 4, false, false},
                            Row{11, 100, false, false}, Row{0xffff'ffff, 0xffff'ffff, false, false});
  const auto bytes = written(row.number);
  Reader text(bytes);
  CHECK(text.text(row.limit).has_value() == row.text);
  CHECK(text.ok() == row.text);
  Reader count(bytes);
  CHECK(count.count(row.limit, 2).has_value() == row.count);
  CHECK(count.ok() == row.count);
}

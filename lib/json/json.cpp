#include "json/json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "base/utf8.h"

namespace vsync {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool is_plain(char letter) {
  return letter >= 0x20 && letter < 0x7f && letter != '"' && letter != '\\';
}

void append_text(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
    out += text.substr(0, plain);  // most of a text, and a large one must not take long
    text.remove_prefix(plain);
    if (text.empty()) {
      break;
    }
    const auto first = static_cast<unsigned char>(text.front());
    auto rest = text;
    const bool sound = take_code_point(rest).has_value();
    if (first == '"' || first == '\\') {
      out += '\\';
      out += static_cast<char>(first);
    } else if (first == '\n') {
      out += "\\n";
    } else if (!sound || first < 0x20) {
      std::array<char, 7> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", first);
      out += escaped.data();
    } else {
      out += text.substr(0, text.size() - rest.size());
    }
    text.remove_prefix(sound ? text.size() - rest.size() : 1);
  }
  out += '"';
}

void append_lower(std::string& out, std::string text) {
  for (auto& letter : text) {
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  }
  append_text(out, text);
}

void append_base64(std::string& out, std::string_view bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t begin = out.size() + 1;
  out.append((bytes.size() + 2) / 3 * 4 + 2, '"');
  char* to = out.data() + begin;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t size = std::min<std::size_t>(bytes.size() - at, 3);
    unsigned value = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      value = value << 8U | (i < size ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (unsigned i = 0; i < 4; ++i) {
      *to++ = i <= size ? kDigits[value >> (18U - 6U * i) & 0x3fU] : '=';
    }
  }
}

void append(std::string& out, const Message& message);

/// The value of a field, or of its element `index` when the field is repeated (index >= 0).
void append_value(std::string& out, const Message& message, const FieldDescriptor& field, int index) {
  const auto& get = *message.GetReflection();
  const bool element = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return append(out, element ? get.GetRepeatedMessage(message, &field, index) : get.GetMessage(message, &field));
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string space;
      const auto& text = element ? get.GetRepeatedStringReference(message, &field, index, &space)
                                 : get.GetStringReference(message, &field, &space);
      return field.type() == FieldDescriptor::TYPE_BYTES ? append_base64(out, text) : append_text(out, text);
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      return append_lower(out, (element ? get.GetRepeatedEnum(message, &field, index) : get.GetEnum(message, &field))->name());
    case FieldDescriptor::CPPTYPE_BOOL:
      out += (element ? get.GetRepeatedBool(message, &field, index) : get.GetBool(message, &field)) ? "true" : "false";
      return;
    case FieldDescriptor::CPPTYPE_UINT32:
      out += std::to_string(element ? get.GetRepeatedUInt32(message, &field, index) : get.GetUInt32(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_UINT64:
      out += std::to_string(element ? get.GetRepeatedUInt64(message, &field, index) : get.GetUInt64(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_INT32:
      out += std::to_string(element ? get.GetRepeatedInt32(message, &field, index) : get.GetInt32(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      out += std::to_string(element ? get.GetRepeatedInt64(message, &field, index) : get.GetInt64(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      out += std::to_string(element ? get.GetRepeatedDouble(message, &field, index) : get.GetDouble(message, &field));
      return;
    case FieldDescriptor::CPPTYPE_FLOAT:
      out += std::to_string(element ? get.GetRepeatedFloat(message, &field, index) : get.GetFloat(message, &field));
      return;
  }
}

/// A map entry is a message with the fields key and value; JSON wants the key as text.
void append_map_entry(std::string& out, const Message& entry) {
  std::string key;
  append_value(key, entry, *entry.GetDescriptor()->map_key(), -1);
  out += key.starts_with('"') ? key : '"' + key + '"';
  out += ':';
  append_value(out, entry, *entry.GetDescriptor()->map_value(), -1);
}

void append_repeated(std::string& out, const Message& message, const FieldDescriptor& field) {
  const auto& get = *message.GetReflection();
  out += field.is_map() ? '{' : '[';
  for (int i = 0; i < get.FieldSize(message, &field); ++i) {
    out += i > 0 ? "," : "";
    if (field.is_map()) {
      append_map_entry(out, get.GetRepeatedMessage(message, &field, i));
    } else {
      append_value(out, message, field, i);
    }
  }
  out += field.is_map() ? '}' : ']';
}

void append(std::string& out, const Message& message) {
  const auto& type = *message.GetDescriptor();
  char separator = '{';
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    const bool present = field.is_repeated() || !field.has_presence() || message.GetReflection()->HasField(message, &field);
    if (!present) {
      continue;
    }
    out += separator;
    separator = ',';
    append_text(out, field.name());
    out += ':';
    if (field.is_repeated()) {
      append_repeated(out, message, field);
    } else {
      append_value(out, message, field, -1);
    }
  }
  out += separator == '{' ? "{}" : "}";
}

}  // namespace

std::string to_json(const Message& message) {
  std::string out;
  append(out, message);
  return out;
}

}  // namespace vsync

#include "json/batch.h"

#include "base/utf8.h"

namespace vsync {

void fill(control::v1::GroupMessage& out, const control::v1::MessageBatch& batch, std::uint32_t number,
          std::string_view content) {
  out.set_group(batch.group());
  *out.mutable_sender() = batch.sender();
  out.set_view(batch.view());
  out.set_position(batch.position() + number);
  out.set_service(batch.service());
  out.set_token(batch.token());
  out.set_direct(batch.direct());
  out.set_request(batch.request());
  out.set_index(batch.index() == 0 ? 0 : batch.index() + number);
  if (batch.text() && valid_utf8(content)) {
    out.set_text(content.data(), content.size());
  } else {
    out.set_payload(content.data(), content.size());
  }
}

}  // namespace vsync

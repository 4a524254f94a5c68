#include "client/outbox.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "client/convert.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync {
namespace {

namespace pb = control::v1;
using google::protobuf::io::CodedOutputStream;

constexpr std::uint64_t kNotWritten = std::numeric_limits<std::uint64_t>::max();

pb::Service to_proto(Service service) {
  switch (service) {
    case Service::total:
      return pb::TOTAL;
    case Service::fifo:
      return pb::FIFO;
    case Service::causal:
      return pb::CAUSAL;
  }
  return pb::TOTAL;
}

/// Tag and length of a length-delimited field.
std::string field_head(int field, std::size_t size) {
  std::uint8_t space[20];
  std::uint8_t* end = CodedOutputStream::WriteTagToArray(static_cast<std::uint32_t>(field) << 3U | 2U, space);
  end = CodedOutputStream::WriteVarint64ToArray(size, end);
  return {reinterpret_cast<const char*>(space), static_cast<std::size_t>(end - space)};
}

/// C6. `count` tells how many tickets have this fate, at least.
Sent fate_of(Ticket ticket, const pb::SessionReply& session) {
  constexpr Ticket kEnd = std::numeric_limits<Ticket>::max();
  if (!session.known() || ticket <= session.forgotten()) {
    return {ticket, (session.known() ? session.forgotten() : kEnd - 1) - ticket + 1, Fate::unknown, 0, 0, "disconnected"};
  }
  for (const pb::NumberRange& range : session.delivered()) {
    if (ticket < range.first()) {
      return {ticket, range.first() - ticket, Fate::not_delivered, 0, 0, "disconnected"};
    }
    if (ticket <= range.last()) {
      return {ticket, range.last() - ticket + 1, Fate::delivered, 0, 0, {}};
    }
  }
  return {ticket, kEnd - ticket, Fate::not_delivered, 0, 0, "disconnected"};
}

}  // namespace

Ticket Outbox::add(FrameSocket& socket, std::string_view group, std::string_view message, const SendOptions& options) {
  const bool fits = group == group_ && options.service == options_.service && options.text == options_.text &&
                    options.in_view == options_.in_view && options.more_groups == options_.more_groups &&
                    options.to == options_.to && options.durable == options_.durable &&
                    body_.size() + cost(message) <= batch_bytes_;
  if (!fits) {
    close_batch(socket);
    group_ = group;
    options_ = options;
  }
  const auto size = message.size();
  const char head[] = {static_cast<char>(size), static_cast<char>(size >> 8U), static_cast<char>(size >> 16U),
                       static_cast<char>(size >> 24U)};
  bytes_ += cost(message);
  ++messages_;
  if (cost(message) > batch_bytes_) {  // a frame of its own, without another copy
    append_frame(socket, {head, sizeof head}, message, 1);
    return next_ - 1;
  }
  body_.append(head, sizeof head);
  body_ += message;
  ++body_count_;
  return next_ + body_count_ - 1;
}

void Outbox::close_batch(FrameSocket& socket) {
  if (body_count_ > 0) {
    append_frame(socket, body_, {}, std::exchange(body_count_, 0));
    body_.clear();
  }
}

void Outbox::append_frame(FrameSocket& socket, std::string_view body, std::string_view last, std::uint32_t count) {
  const std::size_t size = body.size() + last.size();
  // The body goes last, so that it need not pass through a protobuf message.
  pb::SendBatch fields;
  fields.set_group(group_);
  fields.set_service(to_proto(options_.service));
  fields.set_count(count);
  fields.set_text(options_.text);
  fields.set_in_view(options_.in_view);
  for (const auto& name : options_.more_groups) {
    fields.add_groups(name);
  }
  if (options_.to) {
    fill(*fields.mutable_to(), *options_.to);
  }
  fields.set_durable(options_.durable);
  pb::Request request;
  request.set_id(next_);
  const std::string head = fields.SerializeAsString() + field_head(pb::SendBatch::kBodyFieldNumber, size);
  const std::string start = request.SerializeAsString() + field_head(pb::Request::kSendBatchFieldNumber, head.size() + size);
  socket.append_head(start.size() + head.size() + size);
  socket.append_raw(start);
  socket.append_raw(head);
  socket.append_raw(body);
  socket.append_raw(last);
  batches_.push_back({next_, count, next_, size, socket.appended_total()});
  next_ += count;
}

std::deque<Outbox::Batch>::const_iterator Outbox::find(Ticket ticket) const {
  const auto after = std::upper_bound(batches_.begin(), batches_.end(), ticket,
                                      [](Ticket wanted, const Batch& batch) { return wanted < batch.first; });
  const bool there = after != batches_.begin() && ticket < std::prev(after)->first + std::prev(after)->count;
  return there ? std::prev(after) : batches_.end();
}

void Outbox::forget_settled() {
  while (!batches_.empty() && batches_.front().count == 0) {
    batches_.pop_front();
  }
}

std::uint64_t Outbox::settle(Ticket first, std::uint64_t count) {
  const auto found = find(first);
  if (found == batches_.end()) {
    return 0;
  }
  Batch& batch = batches_[static_cast<std::size_t>(found - batches_.begin())];
  const std::uint64_t before = first - batch.first;
  const std::uint64_t settled = std::min(count, batch.count - before);
  Batch behind = batch;
  behind.first = first + settled;
  behind.count = batch.count - before - settled;
  messages_ -= settled;
  if (before == 0) {
    batch = behind;
    bytes_ -= batch.count == 0 ? std::exchange(batch.bytes, 0) : 0;
  } else {
    batch.count = before;
    if (behind.count > 0) {
      behind.bytes = batch.bytes / 2;
      batch.bytes -= behind.bytes;
      batches_.insert(found + 1, behind);
    }
  }
  forget_settled();
  return settled;
}

std::vector<Sent> Outbox::refuse(Ticket first, const std::string& code) {
  std::vector<Sent> fates;
  const auto begins =
      std::partition_point(batches_.begin(), batches_.end(), [&](const Batch& batch) { return batch.request < first; });
  for (auto batch = begins; batch != batches_.end() && batch->request == first; ++batch) {
    if (batch->count > 0) {
      fates.push_back({batch->first, batch->count, Fate::not_delivered, 0, 0, code});
    }
    messages_ -= std::exchange(batch->count, 0);
    bytes_ -= std::exchange(batch->bytes, 0);
  }
  forget_settled();
  return fates;
}

std::vector<Sent> Outbox::abandon(std::uint64_t written, bool keep) {
  if (body_count_ > 0) {
    batches_.push_back({next_, body_count_, next_, body_.size(), kNotWritten});
    next_ += std::exchange(body_count_, 0);
    body_.clear();
  }
  std::vector<Sent> fates;
  std::deque<Batch> kept;
  for (Batch& batch : batches_) {
    batch.doubtful = batch.doubtful || batch.end <= written;
    if (batch.count == 0) {
      continue;
    }
    if (batch.doubtful && keep) {
      kept.push_back(batch);
    } else {
      bytes_ -= batch.bytes;
      messages_ -= batch.count;
      fates.push_back({batch.first, batch.count, batch.doubtful ? Fate::unknown : Fate::not_delivered, 0, 0, "disconnected"});
    }
  }
  batches_ = std::move(kept);
  return fates;
}

std::vector<Sent> Outbox::resolve(const pb::SessionReply& session) {
  std::vector<Sent> fates;
  while (!batches_.empty() && batches_.front().doubtful) {
    const Batch batch = batches_.front();
    batches_.pop_front();
    bytes_ -= batch.bytes;
    messages_ -= batch.count;
    const Ticket end = batch.first + batch.count;
    for (Ticket ticket = batch.first; ticket < end;) {
      Sent sent = fate_of(ticket, session);
      sent.count = std::min(sent.count, end - ticket);
      ticket += sent.count;
      fates.push_back(std::move(sent));
    }
  }
  return fates;
}

Ticket Outbox::first_of_connection() const {
  const auto first = std::find_if(batches_.begin(), batches_.end(), [](const Batch& batch) { return !batch.doubtful; });
  return first == batches_.end() ? next_ : first->first;
}

void Outbox::moved(std::uint64_t by) {
  for (Batch& batch : batches_) {
    batch.end += batch.doubtful ? 0 : by;
  }
}

}  // namespace vsync

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
  batches_.push_back({next_, count, count, size, socket.appended_total()});
  next_ += count;
}

std::deque<Outbox::Batch>::iterator Outbox::find(Ticket ticket) {
  auto after = std::upper_bound(batches_.begin(), batches_.end(), ticket,
                                [](Ticket wanted, const Batch& batch) { return wanted < batch.first; });
  if (after == batches_.begin() || ticket >= std::prev(after)->first + std::prev(after)->count) {
    return batches_.end();
  }
  return std::prev(after);
}

void Outbox::settle(Batch& batch, std::uint64_t count) {
  batch.unanswered -= count;
  messages_ -= count;
  if (batch.unanswered == 0) {
    bytes_ -= std::exchange(batch.bytes, 0);
  }
  while (!batches_.empty() && batches_.front().unanswered == 0) {
    batches_.pop_front();
  }
}

std::uint64_t Outbox::settle(Ticket first, std::uint64_t count) {
  const auto batch = find(first);
  if (batch == batches_.end()) {
    return 0;
  }
  const std::uint64_t settled = std::min(count, batch->unanswered);
  settle(*batch, settled);
  return settled;
}

Sent Outbox::refuse(Ticket first, std::string code) {
  const auto batch = find(first);
  if (batch == batches_.end()) {
    return {first, 0, Fate::not_delivered, 0, 0, std::move(code)};
  }
  const Sent sent{batch->first + batch->count - batch->unanswered, batch->unanswered, Fate::not_delivered, 0, 0, std::move(code)};
  settle(*batch, batch->unanswered);
  return sent;
}

std::vector<Sent> Outbox::abandon(std::uint64_t written, bool keep) {
  if (body_count_ > 0) {
    batches_.push_back({next_, body_count_, body_count_, body_.size(), kNotWritten});
    next_ += std::exchange(body_count_, 0);
    body_.clear();
  }
  std::vector<Sent> fates;
  std::deque<Batch> kept;
  for (Batch& batch : batches_) {
    batch.doubtful = batch.doubtful || batch.end <= written;
    if (batch.unanswered == 0) {
      continue;
    }
    if (batch.doubtful && keep) {
      kept.push_back(batch);
    } else {
      bytes_ -= batch.bytes;
      messages_ -= batch.unanswered;
      fates.push_back({batch.first + batch.count - batch.unanswered, batch.unanswered,
                       batch.doubtful ? Fate::unknown : Fate::not_delivered, 0, 0, "disconnected"});
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
    messages_ -= batch.unanswered;
    const Ticket end = batch.first + batch.count;
    for (Ticket ticket = end - batch.unanswered; ticket < end;) {
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

bool Outbox::settled(Ticket ticket) const {
  const bool open = body_count_ > 0 && ticket >= next_;
  const auto waits = [&](const Batch& batch) {
    return ticket >= batch.first + batch.count - batch.unanswered && ticket < batch.first + batch.count;
  };
  return !open && std::none_of(batches_.begin(), batches_.end(), waits);
}

}  // namespace vsync

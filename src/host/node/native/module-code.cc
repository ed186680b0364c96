// The machine code that V8's optimising compiler has made of a WebAssembly module, as bytes, and a module with that code again.
// V8 offers both to whoever embeds it and to nobody else. Built by tools/build-native.ts, used through module-code.ts.

#include <node.h>
#include <v8-wasm.h>

#include <cstring>
#include <memory>
#include <variant>

namespace {

using Arguments = const v8::FunctionCallbackInfo<v8::Value>&;

void ReturnCopy(Arguments args, const uint8_t* bytes, size_t size) {
  v8::Local<v8::ArrayBuffer> buffer = v8::ArrayBuffer::New(args.GetIsolate(), size);
  std::memcpy(buffer->Data(), bytes, size);
  args.GetReturnValue().Set(buffer);
}

// Bytes of a view: in shared memory or not. V8 keeps small ones in its heap, from where they are copied.
class Bytes {
 public:
  explicit Bytes(v8::Local<v8::Value> view)
      : contents_(view.As<v8::ArrayBufferView>()->GetContents({small_, sizeof small_})) {}

  v8::MemorySpan<const uint8_t> span() const { return {contents_.data(), contents_.size()}; }

 private:
  uint8_t small_[256];
  v8::MemorySpan<uint8_t> contents_;
};

// serialize(module): an ArrayBuffer, or undefined where no function of the module is optimised yet.
void Serialize(Arguments args) {
  if (!args[0]->IsWasmModuleObject()) return;
  const v8::OwnedBuffer code = args[0].As<v8::WasmModuleObject>()->GetCompiledModule().Serialize();
  if (code.size > 0) ReturnCopy(args, code.buffer.get(), code.size);
}

// wireBytes(module): an ArrayBuffer with what the module was compiled from.
void WireBytes(Arguments args) {
  if (!args[0]->IsWasmModuleObject()) return;
  v8::CompiledWasmModule module = args[0].As<v8::WasmModuleObject>()->GetCompiledModule();
  const v8::MemorySpan<const uint8_t> bytes = module.GetWireBytesRef();
  ReturnCopy(args, bytes.data(), bytes.size());
}

// What a compilation led to. When V8 refuses the code, it compiles the module in other threads and says so in a later turn
// of the event loop, when nobody asks any more: so the callback has a share in this and refers to nothing else.
struct Outcome {
  bool is_waited_for = true;
  v8::Local<v8::WasmModuleObject> module;
};

// deserialize(wireBytes, code): a module, or undefined where V8 refuses the code because its version, its options or the
// processor is another one. V8 checks nothing else: bytes that are not what `serialize` gave for these wire bytes end the
// process, or worse.
void Deserialize(Arguments args) {
  if (!args[0]->IsArrayBufferView() || !args[1]->IsArrayBufferView()) return;
  const Bytes wire(args[0]);
  const Bytes code(args[1]);
  auto outcome = std::make_shared<Outcome>();
  v8::WasmModuleCompilation compilation;
  compilation.SetHasCompiledModuleBytes();
  compilation.OnBytesReceived(wire.span().data(), wire.span().size());
  compilation.Finish(
      args.GetIsolate(),
      [&code](v8::WasmStreaming::ModuleCachingInterface& caching) {
        caching.SetCachedCompiledModuleBytes(code.span());
      },
      [outcome](std::variant<v8::Local<v8::WasmModuleObject>, v8::Local<v8::Value>> result) {
        auto* module = std::get_if<v8::Local<v8::WasmModuleObject>>(&result);
        if (outcome->is_waited_for && module != nullptr) outcome->module = *module;
      });
  outcome->is_waited_for = false;
  if (!outcome->module.IsEmpty()) args.GetReturnValue().Set(outcome->module);
}

}  // namespace

// Machines run in threads, each of which loads this for itself.
NODE_MODULE_INIT() {
  NODE_SET_METHOD(exports, "serialize", Serialize);
  NODE_SET_METHOD(exports, "wireBytes", WireBytes);
  NODE_SET_METHOD(exports, "deserialize", Deserialize);
}

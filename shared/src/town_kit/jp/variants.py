"""異体字: older and newer forms of one character, only for comparing names and for 縮退; the list may grow.

Each pair is the form that is folded away, then the form it is folded to. Sources: the 康熙字典体 in brackets in the
常用漢字表 (内閣告示), 人名用漢字 (戸籍法施行規則 別表第二), and forms often seen in family names (ours).
"""

from typing import Final

PAIRS: Final = """
髙高 﨑崎 嵜崎 濵浜 濱浜 澤沢 邊辺 邉辺 齋斎 齊斉 德徳 瀨瀬 嶋島 嶌島 國国 廣広 眞真 惠恵 榮栄
櫻桜 龍竜 瀧滝 藏蔵 壽寿 彌弥 學学 實実 靜静 禮礼 團団 圓円 應応 會会 寬寛 關関 舊旧 曉暁 勳勲
薰薫 劍剣 檢検 縣県 驗験 險険 嚴厳 縱縦 澁渋 獸獣 從従 祿禄 增増 藪薮 鄕郷 鄉郷 淸清 淺浅 戶戸
黑黒 橫横 槇槙 步歩 每毎 緖緒 爲為 與与 餘余 譽誉 來来 賴頼 亂乱 覽覧 兩両 綠緑 隸隷 戀恋 爐炉
樓楼 灣湾 萬万 滿満 豐豊 變変 辯弁 辨弁 瓣弁 寶宝 佛仏 拂払 祕秘 拔抜 髮髪 發発 賣売 讀読 獨独
傳伝 轉転 點点 當当 燈灯 黨党 稻稲 鐵鉄 體体 對対 帶帯 臺台 擇択 擔担 膽胆 斷断 遲遅 晝昼 蟲虫
鑄鋳 廳庁 聽聴 鎭鎮 遞逓 續続 屬属 雙双 總総 莊荘 裝装 搜捜 插挿 騷騒 纖繊 潛潜 錢銭 專専 戰戦
攝摂 竊窃 數数 樞枢 隨随 髓髄 醉酔 穗穂 圖図 盡尽 觸触 釀醸 讓譲 孃嬢 疊畳 剩剰 繩縄 淨浄 狀状
條条 證証 涉渉 燒焼 稱称 奬奨 將将 敍叙 處処 寫写 釋釈 辭辞 兒児 齒歯 絲糸 殘残 贊賛 蠶蚕 慘惨
參参 雜雑 碎砕 濟済 號号 廢廃 效効 恆恒 黃黄 鷄鶏 藝芸 輕軽 莖茎 經経 徑径 區区 驅駆 堯尭 僞偽
戲戯 犧犠 歸帰 氣気 龜亀 觀観 歡歓 勸勧 卷巻 陷陥 罐缶 樂楽 嶽岳 覺覚 擴拡 殼殻 繪絵 壞壊 懷懐
價価 假仮 畫画 溫温 穩穏 奧奥 歐欧 毆殴 鹽塩 緣縁 艷艶 衞衛 銳鋭 營営 隱隠 飮飲 壹壱 醫医 圍囲
亞亜 惡悪 壓圧 吳呉 舘館 凉涼 冨富 峯峰
"""
FOLDED: Final = str.maketrans({pair[0]: pair[1] for pair in PAIRS.split()})
